# amaranth: UnusedElaboratable=no
"""`ArgMax` against its definition, the index of the first of the largest values, with and without ties."""

import random

import cocotb
import torch

from nudge.hw.lib.arg_max import ArgMax
from sim.harness.random_values import integers
from sim.harness.streams import Port, serve_memory, start
from sim.harness.units import each, run_part
from sim.harness.words import packed

UNITS = {
    "arg_max_10x1": ArgMax(words=10, lanes=1, bits=12),
    "arg_max_1x10": ArgMax(words=1, lanes=10, bits=12),
    "arg_max_5x2": ArgMax(words=5, lanes=2, bits=3),
    "arg_max_3x5": ArgMax(words=3, lanes=5, bits=6),
}


@cocotb.test()
async def index_is_first_of_largest(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, count = Port(dut, name), unit.words * unit.lanes
    words: list[int] = []
    serve_memory(dut, f"{name}__address", f"{name}__values", words)
    top = (1 << unit.bits) - 1
    # the largest value at each index, alone and tied with all after it; then random values from small
    # and large ranges
    cases = [(torch.arange(count) == n).long() * top for n in range(count)]
    cases += [(torch.arange(count) >= n).long() * random.randint(1, top) for n in range(count)]
    cases += [integers(0, high, (count,)) for high in (0, 1, 2, top) for _ in range(24)]
    for number, values in enumerate(cases):
        words[:] = packed(values.reshape(unit.words, unit.lanes), unit.bits)
        busy = await run_part(port)
        assert busy == unit.words * (unit.lanes + 1), f"{name}, case {number}: busy for {busy} cycles"
        got, expected = int(port.index.value), values.tolist().index(max(values))
        assert got == expected, (
            f"{name}, case {number}: index {got}, expected {expected} of {values.tolist()}"
        )
        for _ in range(random.randrange(3)):
            await port.edge
        assert int(port.index.value) == expected, f"{name}, case {number}: the index changed while not busy"
