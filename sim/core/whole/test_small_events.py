# amaranth: UnusedElaboratable=no
"""`small` as configured for boards, with event-driven engines: equal bits in a fraction of the cycles."""

import cocotb
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.hw.core.core import Core

from .check import check_training

CONFIG = configuration(preset("small"), "event")
TOP = Core(CONFIG)


@cocotb.test()
@pytest.mark.slow
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=3)
