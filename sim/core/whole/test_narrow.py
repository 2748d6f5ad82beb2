# amaranth: UnusedElaboratable=no
"""`tiny` with one lane per layer: lanes change the number of cycles but no bit of a result."""

import cocotb

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.hw.core.core import Core

from .check import check_training

SPEC = preset("tiny")
CONFIG = Config(SPEC, (1,) * len(SPEC.layers))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 1, seed=1, steps=(SPEC.schedule.window, SPEC.schedule.window))
