# amaranth: UnusedElaboratable=no
"""A core with fine spikes, weak feedback, falling lambda, centred commits and every kind of engine."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.core.core import Core

from .check import check_training

STAGES = (Conv(2, 3), Conv(4, 3), Conv(2, 2), Dense(6), Dense(10))
SCHEDULE = Schedule(
    10,
    6,
    window_log2=1,
    decay_shift=0,
    order="odd-even",
    halvings=(1, 4),
    feedback_shift=2,
    fine=(8, 7, 6, 4, 1),
    centred=True,
)
SPEC = Spec("fine", STAGES, SCHEDULE, Learning(rates=(0.02, 0.04, 0.1, 0.2, 0.4), beta=0.9))
CONFIG = Config(SPEC, (1, 2, 2, 1, 3, 5), (1, 2, 1, 1, 3, 5), events=frozenset({2}), shared=frozenset({2, 4}))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 3, seed=4, traced=3)


@cocotb.test()
async def trains_with_other_phases(dut):
    await check_training(dut, CONFIG, 3, seed=5, traced=3, steps=(5, 9))
