# amaranth: UnusedElaboratable=no
"""A core unlike any preset: kernels 4 and 5, padding, odd maps, unequal lanes, lambda 1/4, 2-sweep window."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.core.core import Core

from .check import check_training

STAGES = (Conv(2, 4, 1), Conv(3, 5, 2), Dense(6), Dense(10))
SCHEDULE = Schedule(5, 3, window_log2=1, decay_shift=2, order="odd-even")
SPEC = Spec("odd", STAGES, SCHEDULE, Learning(rates=(0.5, 0.5, 0.5, 0.5), beta=0.9))
CONFIG = Config(SPEC, (1, 1, 3, 2, 5))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 3, seed=4, traced=3)


@cocotb.test()
async def trains_with_other_step_counts(dut):
    await check_training(dut, CONFIG, 2, seed=5, traced=2, steps=(10, 7))
