"""`hw.compact.clip` clips every value to -bound..bound."""

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from nudge.hw.compact.clip import clipped


@pytest.mark.parametrize("bound", [1, 3, 4, 20, 24, 27, 31, 32])
def test_clips_every_value(bound):
    m, value, result = Module(), Signal(signed(8)), Signal(signed(8))
    m.d.comb += result.eq(clipped(value, bound))

    async def look(ctx):
        for number in range(-128, 128):
            ctx.set(value, number)
            assert ctx.get(result) == max(-bound, min(bound, number)), number

    simulator = Simulator(m)
    simulator.add_testbench(look)
    simulator.run()
