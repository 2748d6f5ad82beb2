# amaranth: UnusedElaboratable=no
"""Block RAMs, multipliers, an event and an update engine as GW2A cells pass the checks of their benches."""

import re

import cocotb
import pytest

from nudge.boards.family import Family
from nudge.boards.gowin import TANG_NANO_20K
from nudge.plumbing.errors import ToolError
from sim.harness.streams import start
from sim.harness.units import each

from . import test_blocks as blocks
from . import test_units as rtl
from .cells import check_mode
from .unit import Cells


def named(units):
    """Return the units under names of this bench."""
    return {f"gowin_{name}": unit for name, unit in units.items()}


MEMORIES, FACTORS = named(blocks.MEMORIES), named(blocks.FACTORS)
ENGINES, UPDATES = named(rtl.ENGINES), named(rtl.UPDATES)
UNITS = {
    name: Cells(unit, name, TANG_NANO_20K) for name, unit in (MEMORIES | FACTORS | ENGINES | UPDATES).items()
}


@cocotb.test()
async def memories_keep_words(dut):
    await start(dut, before=0)
    await each(dut, MEMORIES, blocks.check_words)


@cocotb.test()
async def products_of_all_signs(dut):
    await blocks.check_products(dut, ("gowin_products",))


@cocotb.test()
async def event_engines_equal_golden(dut):
    await start(dut)
    await each(dut, ENGINES, rtl.event_engine.check)


@cocotb.test()
async def updates_equal_golden(dut):
    await start(dut)
    await each(dut, UPDATES, rtl.update.check)


def test_each_width_is_a_block_of_its_own():
    for width, unit in blocks.WORDS.items():
        found = re.findall(r"BIT_WIDTH_([01])\(32'd(\d+)\)", UNITS[f"gowin_words_{width}"].netlist)
        assert found == [("0", str(unit.width)), ("1", str(unit.width))], width


def test_products_are_multipliers():
    assert UNITS["gowin_products"].netlist.count("MULT18X18") == 4
    assert UNITS["gowin_multiplier"].netlist.count("MULT18X18") == 1


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        ("SDPX9B #(.READ_MODE(1))", "READ_MODE_isnt_modelled"),
        ("SDPB #(.BIT_WIDTH_0(8), .BIT_WIDTH_1(8))", "BIT_WIDTH_0_isnt_modelled"),
        ("DPX9B #(.BIT_WIDTH_0(9))", "BIT_WIDTH_1_isnt_modelled"),
        ("DPX9B #(.INIT_RAM_2A(7))", "INIT_RAM_isnt_modelled"),
        ("MULT18X18 #(.OUT_REG(1))", "OUT_REG_isnt_modelled"),
    ],
)
def test_a_mode_without_a_model_is_refused_by_name(tmp_path, cell, wrong):
    with pytest.raises(ToolError, match=wrong):
        check_mode(Family.GOWIN, cell, tmp_path)
