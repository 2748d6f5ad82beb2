"""The compact core's loops over a map and a kernel visit each position and tap once, with the right box."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.compact.loop_counters import LoopCounters
from nudge.hw.compact.memory_map import BOX_STRIDE, FIRST_BOX, MemoryMap


@pytest.mark.parametrize("kernel", range(1, 9))
def test_visits_every_position_and_tap_with_its_box(kernel):
    spec = Spec(
        "a network", (Conv(1, kernel), Dense(10)), Schedule(8, 8, order="odd-even"), Learning((0.5, 0.5))
    )
    config = Config(spec, (1, 1, 1), compact=True)
    m, position, tap = Module(), Signal(), Signal()
    counters, number = LoopCounters(m, config, MemoryMap(config)), Signal(10)
    m.d.comb += number.eq(counters.box)
    with m.If(position):
        counters.next_position()
    with m.If(tap):
        counters.next_tap()
    layer, end = spec.layers[1], kernel - 1

    def box(y, x, ky, kx):
        return (2 * y + ky) * BOX_STRIDE + 2 * x + kx + FIRST_BOX

    async def walk(ctx):
        ctx.set(tap, 1)
        for ky in range(kernel):
            for kx in range(kernel):
                assert ctx.get(number) == box(0, 0, ky, kx)
                assert ctx.get(counters.last_tap) == (ky == kx == end)
                await ctx.tick()
        ctx.set(tap, 0)
        ctx.set(position, 1)
        for y in range(layer.height):
            for x in range(layer.width):
                assert ctx.get(number) == box(y, x, 0, 0)
                assert ctx.get(counters.last_position) == (y + 1 == layer.height and x + 1 == layer.width)
                await ctx.tick()
        # both loops are back at their start
        assert ctx.get(number) == box(0, 0, 0, 0)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(walk)
    simulator.run()
