# amaranth: UnusedElaboratable=no
"""`small` with an event-driven conv engine and wider lanes: the same bits as golden, in a fraction of the cycles."""

import cocotb
import pytest

from golden.spec import preset
from hw.config import Config
from hw.core import Core

from .core_bench import check_training

CONFIG = Config(preset("small"), (1, 8, 16, 8, 10), events=frozenset({2}))
TOP = Core(CONFIG)


@cocotb.test()
@pytest.mark.slow
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=3)
