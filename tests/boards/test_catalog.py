# amaranth: UnusedElaboratable=no
"""Every board elaborates for every preset that it takes, and its clocks can be made. Needs no tool for bitstreams."""

import dataclasses
import json
import re

import pytest

from boards.catalog import BOARDS, board
from boards.fpga import BAUD_TOLERANCE
from boards.toolchain.build import build_id, plan
from boards.toolchain.clock import Ecp5Pll, Ice40Pll
from golden.contract.errors import DesignError
from golden.contract.protocol import BuildFacts

DESIGNS = [(name, preset) for name, fpga in BOARDS.items() for preset in fpga.designs]
#: `medium` takes half a minute and differs from `small` in numbers only.
QUICK = [pytest.param(*design, marks=[pytest.mark.slow] if design[1] == "medium" else []) for design in DESIGNS]


@pytest.mark.parametrize(("name", "preset"), QUICK)
def test_elaborates(name, preset):
    fpga = board(name)
    made = plan(fpga, preset, BuildFacts(build=0x1234), seed=5)
    tools = [words[0] for words in json.loads(made.files["build_top.json"])["commands"]]
    assert tools[0] == "yosys"
    assert tools[1].startswith("nextpnr-")
    constraints = made.files.get("top.lpf", made.files.get("top.pcf"))
    for pin in ("uart_0__rx", "uart_0__tx", "button_0"):
        assert pin in constraints


@pytest.mark.parametrize(("name", "preset"), DESIGNS)
def test_serial_rate(name, preset):
    fpga, facts = board(name), board(name).facts(preset)
    assert facts.clock_hz == fpga.design(preset).clock_hz
    assert abs(facts.baud / fpga.baud - 1) <= BAUD_TOLERANCE


def test_same_plan_each_time():
    """What the bitstream's identity promises."""
    digests = {plan(board("ulx3s"), "tiny", BuildFacts(), seed=1).digest() for _ in range(2)}
    assert len(digests) == 1
    assert plan(board("ulx3s"), "tiny", BuildFacts(seed=2), seed=1).digest() not in digests


def test_build_id_is_of_netlist_and_tools():
    """Of nothing else: with the sources' text in it, a comment would move the logic."""
    fpga, versions = board("icebreaker"), {"yosys": "0.70"}
    known = build_id(fpga, "tiny", BuildFacts(seed=1), versions)
    assert known == build_id(fpga, "tiny", BuildFacts(seed=1), dict(versions))
    renamed = dataclasses.replace(fpga, hint="another text")
    assert known == build_id(renamed, "tiny", BuildFacts(seed=1), versions)
    assert known != build_id(fpga, "tiny", BuildFacts(seed=2), versions)
    assert known != build_id(fpga, "tiny", BuildFacts(seed=1), {"yosys": "0.71"})


def test_unknown_board_and_preset():
    with pytest.raises(DesignError, match=re.escape("unknown board 'ulx4s': choose one of icebreaker, orangecrab, ulx3s")):
        board("ulx4s")
    with pytest.raises(DesignError, match="icebreaker is too small for preset 'small': icebreaker takes tiny"):
        board("icebreaker").design("small")
    with pytest.raises(DesignError, match="unknown preset 'huge'"):
        board("icebreaker").design("huge")


@pytest.mark.parametrize("hz", [36_000_000, 42_000_000, 45_000_000, 50_000_000, 60_000_000, 75_000_000, 100_000_000])
def test_ecp5_pll(hz):
    pll = Ecp5Pll.of(25_000_000, hz)
    assert 25_000_000 * pll.feedback * pll.inner == hz * pll.output * pll.reference
    assert 400e6 <= hz * pll.output <= 800e6
    assert 25e6 / pll.reference >= 3.125e6
    assert all(1 <= divider <= 128 for divider in (pll.reference, pll.feedback, pll.inner, pll.output))


@pytest.mark.parametrize("source", [25, 48])
def test_ecp5_pll_makes_whole_megahertz(source):
    """What its error promises, for the clocks that this part's logic can have."""
    for mhz in range(10, 101):
        assert Ecp5Pll.of(source * 1_000_000, mhz * 1_000_000)


@pytest.mark.parametrize("hz", [15_000_000, 18_000_000, 24_000_000])
def test_ice40_pll(hz):
    pll = Ice40Pll.of(12_000_000, hz)
    assert 12_000_000 * (pll.feedback + 1) == hz * (pll.reference + 1) << pll.output
    assert 533e6 <= hz << pll.output <= 1066e6


def test_clock_that_cannot_be_made():
    with pytest.raises(DesignError, match=re.escape("61.003 MHz can't be made from 25 MHz: choose a multiple of 1 MHz")):
        Ecp5Pll.of(25_000_000, 61_003_000)
    with pytest.raises(DesignError, match=re.escape("17.1 MHz can't be made from 12 MHz")):
        Ice40Pll.of(12_000_000, 17_100_000)
