# amaranth: UnusedElaboratable=no
"""The core of preset `small`, whole samples of real digits."""

import cocotb

from golden.spec import preset
from hw.config import configuration
from hw.core import Core

from .core_bench import check_training

CONFIG = configuration(preset("small"))
TOP = Core(CONFIG)


@cocotb.test()
async def trains_bit_for_bit(dut):
    await check_training(dut, CONFIG, 2, seed=3)
