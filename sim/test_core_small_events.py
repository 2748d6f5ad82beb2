# amaranth: UnusedElaboratable=no
"""`small` as boards have it, with event-driven engines: the same bits as golden, in a fraction of the cycles."""

import cocotb
import pytest

from golden.spec import preset
from hw.config import configuration
from hw.core import Core

from .core_bench import check_training

CONFIG = configuration(preset("small"), "event")
TOP = Core(CONFIG)


@cocotb.test()
@pytest.mark.slow
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=3)
