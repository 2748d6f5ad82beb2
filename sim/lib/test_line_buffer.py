# amaranth: UnusedElaboratable=no
"""The line buffer against `golden.model.ops.patches`: unfolding without padding."""

import cocotb

from nudge.golden.model import ops
from nudge.hw.lib.line_buffer import LineBuffer
from sim.harness.random_values import various
from sim.harness.streams import FlowSource, Monitor, start
from sim.harness.units import each, expect
from sim.harness.words import unpacked

UNITS = {
    "lines_5x7": LineBuffer(bits=3, height=5, width=7, kernel=3),
    "lines_6x4": LineBuffer(bits=8, height=6, width=4, kernel=2),
    "lines_3x3": LineBuffer(bits=1, height=3, width=3, kernel=3),
    "lines_4x5": LineBuffer(bits=2, height=4, width=5, kernel=4),
    "lines_2x2": LineBuffer(bits=5, height=2, width=2, kernel=2),
    "lines_7x6": LineBuffer(bits=4, height=7, width=6, kernel=5),
    "lines_8x7": LineBuffer(bits=4, height=8, width=7, kernel=7),
    "lines_2x3": LineBuffer(bits=3, height=2, width=3, kernel=1),
}
PLANES = 4


@cocotb.test()
@cocotb.parametrize(gap=[0.0, 0.4])
async def windows_equal_unfolding(dut, gap):
    await start(dut)
    await each(dut, UNITS, check, gap)


async def check(dut, name, unit, gap):
    source = FlowSource(dut, f"{name}__i")
    entries, monitor = Monitor(dut, f"{name}__i"), Monitor(dut, f"{name}__o")
    planes = various(0, (1 << unit.bits) - 1, (PLANES, 1, unit.height, unit.width))
    await source.send(planes.flatten().tolist(), gap=gap)
    windows = ops.patches(planes, unit.kernel).transpose(1, 2).flatten(0, 1)
    words = await monitor.wait(len(windows))
    got = unpacked(words, unit.bits, unit.kernel**2, signed=False)
    expect(f"{name} window", got, windows, ("window", "element"))

    inside = range(unit.kernel - 1, unit.height), range(unit.kernel - 1, unit.width)
    newest = [
        (p * unit.height + y) * unit.width + x for p in range(PLANES) for y in inside[0] for x in inside[1]
    ]
    expect(f"{name} cycle", monitor.cycles, [entries.cycles[n] + unit.latency for n in newest], ("window",))
    for _ in range(4):
        await monitor.edge
    assert len(monitor.words) == len(windows), (
        f"{name}: {len(monitor.words)} windows, expected {len(windows)}"
    )
