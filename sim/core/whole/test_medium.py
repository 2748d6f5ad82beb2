# amaranth: UnusedElaboratable=no
"""The core of preset `medium` on a real digit, with the preset's numbers of sweeps."""

import cocotb
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.hw.core.core import Core

from .check import check_training

CONFIG = configuration(preset("medium"), "line")
TOP = Core(CONFIG)


@cocotb.test()
@pytest.mark.slow
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 1, seed=6)
