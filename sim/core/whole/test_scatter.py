# amaranth: UnusedElaboratable=no
"""A core with scatter engines, with and without padding, beside the model: fine spikes, centred commits."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.core.core import Core

from .check import check_training

STAGES = (Conv(2), Conv(4, padding=1), Conv(6), Dense(10))
SCHEDULE = Schedule(
    10,
    6,
    window_log2=1,
    decay_shift=0,
    order="odd-even",
    halvings=(1, 4),
    feedback_shift=2,
    fine=(8, 6, 4, 1),
    centred=True,
)
SPEC = Spec("scatter", STAGES, SCHEDULE, Learning(rates=(0.02, 0.04, 0.1, 0.2), beta=0.9))
CONFIG = Config(
    SPEC,
    (1, 2, 2, 3, 5),
    (1, 2, 1, 3, 5),
    scatters=frozenset({2, 3}),
    folded=frozenset({2}),
    shared=frozenset({2}),
)
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 3, seed=6, traced=3)
