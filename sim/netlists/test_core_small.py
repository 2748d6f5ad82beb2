# amaranth: UnusedElaboratable=no
"""The core of `small` as cells of a ULX3S' part trains two digits bit for bit like the golden model."""

import cocotb
import pytest

from nudge.boards.ulx3s import ULX3S
from nudge.hw.core.core import Core

from . import core_check
from .probes import Probed

CONFIG = ULX3S.design("small").config
TOP = Probed(Core(CONFIG), "small", ULX3S)


#: Time limit in seconds; Verilator's C++ of the netlist takes long to compile beside other work.
PATIENCE = 7200


@cocotb.test()
@pytest.mark.slow
@pytest.mark.timeout(PATIENCE)
async def a_pair_trains_bit_for_bit(dut):
    await core_check.check(dut, CONFIG, seed=3)
