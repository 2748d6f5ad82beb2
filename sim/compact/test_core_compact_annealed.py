# amaranth: UnusedElaboratable=no
"""The compact core with falling lambda and feedback weighted by half, in phases that end before and after the
last halving."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.compact.compact_core import CompactCore
from sim.core.whole.check import check_training

SCHEDULE = Schedule(
    8, 4, window_log2=1, decay_shift=0, order="odd-even", halvings=(1, 3, 8), feedback_shift=1
)
SPEC = Spec("annealed", (Conv(2, 5), Dense(10)), SCHEDULE, Learning((0.5, 0.5), beta=0.9))
CONFIG = Config(SPEC, (1, 1, 1), compact=True)
TOP = CompactCore(CONFIG)


@cocotb.test()
async def trains_with_the_shortest_phases(dut):
    await check_training(dut, CONFIG, 2, seed=6, traced=2, steps=(2, 2))


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=4, traced=2)


@cocotb.test()
async def trains_with_every_halving(dut):
    await check_training(dut, CONFIG, 2, seed=5, traced=2, steps=(10, 3))
