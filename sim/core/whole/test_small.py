# amaranth: UnusedElaboratable=no
"""The core of preset `small` on real digits, with the preset's numbers of sweeps."""

import cocotb

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.hw.core.core import Core

from .check import check_training

CONFIG = configuration(preset("small"), "line")
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=3)
