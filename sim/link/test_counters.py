# amaranth: UnusedElaboratable=no
"""Counters against a list: bursts of events, clears in the same cycle as events, reads after settling."""

import random

import cocotb

from nudge.hw.link.counters import Counters
from sim.harness.streams import Port, start
from sim.harness.units import each

UNITS = {"counters_1": Counters(1), "counters_5": Counters(5, bits=5), "counters_16": Counters(16)}

#: Number of bursts; only the first `CLEARING` may clear, so that the 5-bit counters wrap during the others.
BURSTS, CLEARING = 160, 60


@cocotb.test()
async def equals_a_list(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, counts = Port(dut, name), [0] * unit.count
    for burst in range(BURSTS):
        clear, together = burst < CLEARING and random.random() < 0.1, random.random() < 0.5
        events = random.getrandbits(unit.count)
        if clear:
            counts = [0] * unit.count
        counts = [(count + (events >> n & 1)) % (1 << unit.bits) for n, count in enumerate(counts)]
        port.clear.value, port.increment.value = int(clear), events if together else 0
        await port.edge
        port.clear.value, port.increment.value = 0, 0 if together else events
        await port.edge
        port.increment.value = 0
        # counters without an event are readable meanwhile; a value follows its address by two edges
        quiet = [] if clear else [n for n in range(unit.count) if not events >> n & 1]
        asked: list[int] = []
        for _ in range(unit.settling):
            if len(asked) > 1:
                got = port.value.value.to_unsigned()
                assert got == counts[asked[-2]], (
                    f"{name}, burst {burst}, counter {asked[-2]} beside others: {got}"
                )
            if quiet:
                asked.append(random.choice(quiet))
                port.address.value = asked[-1]
            await port.edge
        for address in range(unit.count):
            port.address.value = address
            await port.edge
            await port.edge
            got = port.value.value.to_unsigned()
            assert got == counts[address], (
                f"{name}, burst {burst}, counter {address}: {got}, expected {counts[address]}"
            )
