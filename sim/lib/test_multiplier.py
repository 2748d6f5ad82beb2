# amaranth: UnusedElaboratable=no
"""The multiplier with extreme and random factors, one product per cycle."""

import random

import cocotb

from nudge.hw.lib.multiplier import Multiplier
from sim.harness.streams import Port, start

UNITS = {"multiplier": Multiplier()}

EXTREMES = [(a, b) for a in (-(1 << 15), -1, 0, 1, (1 << 15) - 1) for b in (0, 1, (1 << 16) - 1)]


@cocotb.test()
async def products_are_exact(dut):
    await start(dut)
    port, expected = Port(dut, "multiplier"), None
    factors = EXTREMES + [
        (random.randrange(-(1 << 15), 1 << 15), random.randrange(1 << 16)) for _ in range(1000)
    ]
    for a, b in factors:
        port.a.value, port.b.value = a, b
        await port.edge
        if expected is not None:
            assert port.product.value.to_signed() == expected[2], expected
        expected = (a, b, a * b)
