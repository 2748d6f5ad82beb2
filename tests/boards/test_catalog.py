# amaranth: UnusedElaboratable=no
"""Every board elaborates for each of its presets, and its clocks can be made, without other tools."""

import dataclasses
import json
import re

import pytest

from nudge.boards.catalog import BOARDS, board
from nudge.boards.toolchain.netlist import build_id, plan, synthesis
from nudge.boards.toolchain.route import CONSTRAINTS
from nudge.golden.contract.protocol import BuildFacts
from nudge.plumbing.errors import DesignError
from nudge.plumbing.programs import LOADERS

DESIGNS = [(name, preset) for name, fpga in BOARDS.items() for preset in fpga.designs]
#: These take half a minute, and differ from `small` in numbers and engines only.
SLOW = ("cifar", "medium")
QUICK = [pytest.param(*design, marks=[pytest.mark.slow] if design[1] in SLOW else []) for design in DESIGNS]


@pytest.mark.parametrize(("name", "preset"), QUICK)
def test_elaborates(name, preset):
    fpga = board(name)
    made = plan(fpga, preset, BuildFacts(build=0x1234), seed=5)
    tools = [words[0] for words in json.loads(made.files["build_top.json"])["commands"]]
    assert tools[0] == "yosys"
    lines = [line.strip() for line in made.files["top.ys"].splitlines()]
    # a Gowin part's command has the file of the netlist too
    assert synthesis(fpga, "top") in [line.removesuffix(" -json top.json") for line in lines]
    assert tools[1].startswith("nextpnr-")
    (constraints,) = (text for name, text in made.files.items() if name in CONSTRAINTS)
    for pin in (
        "uart_0__rx",
        "uart_0__tx",
        *("_".join(map(str, each)) for each in (fpga.button, *fpga.high) if each),
    ):
        assert pin in constraints
    assert ('"sdram_0__dq__io[15]"' in constraints) == fpga.facts(preset).sdram


@pytest.mark.parametrize(("name", "preset"), DESIGNS)
def test_serial_rate(name, preset):
    fpga, facts = board(name), board(name).facts(preset)
    assert facts.clock_hz == fpga.design(preset).clock_hz
    assert abs(facts.baud / fpga.baud - 1) <= 0.005


def test_clock_that_makes_no_serial_rate():
    """A clock of 50 MHz is refused for 3 Mbaud: 50 MHz / 17 is off by 2 %."""
    fpga = board("ulx3s")
    design = dataclasses.replace(fpga.design("tiny"), clock_hz=50_000_000)
    message = "ulx3s: 50 MHz can't make 3000000 baud within 0.5%"
    with pytest.raises(DesignError, match=re.escape(message)):
        dataclasses.replace(fpga, designs={"tiny": design}).facts("tiny")


def test_same_plan_each_time():
    """The build plan is reproducible, and depends on the seed in the build's facts."""
    digests = {plan(board("ulx3s"), "tiny", BuildFacts(), seed=1).digest() for _ in range(2)}
    assert len(digests) == 1
    assert plan(board("ulx3s"), "tiny", BuildFacts(seed=2), seed=1).digest() not in digests


def test_build_id_is_of_netlist_and_tools():
    """The register `build` depends on netlist and tools alone; if it included the sources' text, a new
    comment would move the logic."""
    fpga, versions = board("icebreaker"), {"yosys": "0.70"}
    known = build_id(fpga, "tiny", BuildFacts(seed=1), versions)
    assert known == build_id(fpga, "tiny", BuildFacts(seed=1), dict(versions))
    renamed = dataclasses.replace(fpga, hint="another text")
    assert known == build_id(renamed, "tiny", BuildFacts(seed=1), versions)
    assert known != build_id(fpga, "tiny", BuildFacts(seed=2), versions)
    assert known != build_id(fpga, "tiny", BuildFacts(seed=1), {"yosys": "0.71"})


def test_unknown_board_and_preset():
    with pytest.raises(
        DesignError, match=re.escape("unknown target 'ulx4s': choose one of butterstick, colorlight-5a-75b")
    ):
        board("ulx4s")
    with pytest.raises(
        DesignError, match="icebreaker has no design for preset 'small': icebreaker has those for tiny"
    ):
        board("icebreaker").design("small")
    with pytest.raises(DesignError, match="unknown preset 'huge'"):
        board("icebreaker").design("huge")


def test_every_board_is_found_by_its_name():
    first = ["butterstick", "colorlight-5a-75b", "colorlight-i5", "colorlight-i9", "ecpix5", "ecpix5-45f"]
    gowin, ulx3s = ["tang-primer-20k", "tang-nano-20k"], ["ulx3s", "ulx3s-45f", "ulx3s-25f"]
    assert list(BOARDS) == [*first, *gowin, "icebreaker", "icepi-zero", "icesugar-pro", "orangecrab", *ulx3s]
    assert [fpga.name for fpga in BOARDS.values()] == list(BOARDS)
    for fpga in BOARDS.values():
        assert fpga.flash[0] in LOADERS, "a loader that can be installed"
        assert fpga.usb
