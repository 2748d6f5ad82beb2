# amaranth: UnusedElaboratable=no
"""A core with an event-driven conv engine, fewer lanes than channels, and arrays narrower than words."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.core.core import Core

from .check import check_training

STAGES = (Conv(4), Conv(6), Dense(10))
SPEC = Spec(
    "events",
    STAGES,
    Schedule(9, 6, window_log2=2, order="odd-even"),
    Learning(rates=(0.5, 0.5, 0.5), gain=2.0),
)
CONFIG = Config(SPEC, (1, 2, 3, 5), arrays=(1, 2, 1, 1), events=frozenset({2}))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 3, seed=3, traced=2)
