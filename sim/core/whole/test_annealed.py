# amaranth: UnusedElaboratable=no
"""A core with feedback scaled by 1/4 and lambda falling from 1 to 1/8.

The phases are longer and shorter than the last halving.
"""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.core.core import Core

from .check import check_training

STAGES = (Conv(2, 3), Conv(4, 4), Dense(6), Dense(10))
SCHEDULE = Schedule(
    8, 4, window_log2=1, decay_shift=0, order="odd-even", halvings=(1, 3, 8), feedback_shift=2
)
SPEC = Spec("annealed", STAGES, SCHEDULE, Learning(rates=(0.2, 0.5, 0.5, 0.5), beta=0.9))
CONFIG = Config(SPEC, (1, 2, 2, 3, 5), (1, 2, 1, 1, 5))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_with_the_shortest_phases(dut):
    await check_training(dut, CONFIG, 3, seed=6, traced=3, steps=(2, 2))


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 3, seed=4, traced=3)


@cocotb.test()
async def trains_with_every_halving(dut):
    await check_training(dut, CONFIG, 3, seed=5, traced=3, steps=(10, 3))
