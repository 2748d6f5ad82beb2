# amaranth: UnusedElaboratable=no
"""The average pool against the golden model: maps with odd and even sides, back to back."""

import cocotb

from nudge.golden.model import ops
from nudge.hw.synapse.average_pool import AveragePool
from sim.harness.random_values import various
from sim.harness.streams import FlowSource, Monitor, start
from sim.harness.units import each, expect
from sim.harness.words import lane_words, packed, unpacked

UNITS = {
    "pool_odd": AveragePool(lanes=2, bits=6, height=5, width=7),
    "pool_even": AveragePool(lanes=1, bits=12, height=4, width=6),
    "pool_odd_even": AveragePool(lanes=3, bits=4, height=3, width=4),
    "pool_even_odd": AveragePool(lanes=2, bits=1, height=6, width=3),
    "pool_2x2": AveragePool(lanes=1, bits=5, height=2, width=2),
}
MAPS = 5


@cocotb.test()
@cocotb.parametrize(gap=[0.0, 0.4])
async def sums_equal_golden(dut, gap):
    await start(dut)
    await each(dut, UNITS, check, gap)


async def check(dut, name, unit, gap):
    source = FlowSource(dut, f"{name}__i")
    entries, monitor = Monitor(dut, f"{name}__i"), Monitor(dut, f"{name}__o")
    low, high = -(1 << (unit.bits - 1)), (1 << (unit.bits - 1)) - 1
    maps = various(low, high, (MAPS, unit.lanes, unit.height, unit.width))
    maps[0], maps[1] = low, high
    await source.send(packed(lane_words(maps), unit.bits), gap=gap)
    expected = lane_words(ops.average_pool(maps))
    words = await monitor.wait(len(expected))
    expect(f"{name} sum", unpacked(words, unit.bits + 2, unit.lanes), expected)

    rows, columns = range(1, unit.height, 2), range(1, unit.width, 2)
    fourth = [(n * unit.height + y) * unit.width + x for n in range(MAPS) for y in rows for x in columns]
    expect(f"{name} cycle", monitor.cycles, [entries.cycles[n] + unit.latency for n in fourth], ("word",))
    for _ in range(4):
        await monitor.edge
    assert len(monitor.words) == len(expected), f"{name}: {len(monitor.words)} sums, expected {len(expected)}"
