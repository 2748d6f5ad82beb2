# amaranth: UnusedElaboratable=no
"""The core of `tiny` as cells of a ULX3S' part trains two digits bit for bit like the golden model."""

import cocotb
import pytest

from nudge.boards.ulx3s import ULX3S_25F
from nudge.hw.core.core import Core

from . import core_check
from .probes import Probed

CONFIG = ULX3S_25F.design("tiny").config
TOP = Probed(Core(CONFIG), "tiny", ULX3S_25F)


@cocotb.test()
@pytest.mark.slow
async def a_pair_trains_bit_for_bit(dut):
    await core_check.check(dut, CONFIG, seed=3)
