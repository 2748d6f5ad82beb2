# amaranth: UnusedElaboratable=no
"""Wires and LEDs in the drawings are at the pins of the gateware (tests/test_docs.py compares the files)."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nudge.boards.catalog import BOARDS
from nudge.boards.toolchain.netlist import plan
from nudge.golden.contract.protocol import BuildFacts

PICTURES = Path(__file__).parents[1] / "docs/pictures"
WIRED = [name for name, fpga in BOARDS.items() if fpga.adapter]


def elements(name: str) -> list[ElementTree.Element]:
    """Return the elements of a picture, without the namespace in their tags."""
    found = list(ElementTree.parse(PICTURES / name).getroot())
    for each in found:
        each.tag = each.tag.partition("}")[2]
    return found


def constraints(name: str) -> str:
    """Return the pins of a board's smallest design, as the placer gets them."""
    files = plan(BOARDS[name], next(iter(BOARDS[name].designs)), BuildFacts()).files
    return str(files.get("top.lpf", files.get("top.pcf")))


@pytest.mark.parametrize("name", WIRED)
def test_wires_lead_to_the_pins_of_the_gateware(name):
    """The adapter drives TXD, drawn to the ball of `rx`; the FPGA's `tx` drives RXD; both have 3.3 V."""
    found, pins = elements(f"wires-{name}.svg"), constraints(name)
    texts = {
        (int(each.get("x", 0)), int(each.get("y", 0))): each.text or ""
        for each in found
        if each.tag == "text"
    }
    paths = [re.findall(r" (\d+) l(-?\d+)", each.get("d", "")) for each in found if each.tag == "path"]
    arrows = {int(y): int(run) for ((y, run),) in paths}
    for signal, end, way in (("TXD", "rx", "in"), ("RXD", "tx", "out")):
        (y,) = (y for (_, y), text in texts.items() if text == signal)
        row = [text for (_, at), text in sorted(texts.items()) if at == y]
        site = re.search(rf'COMP "uart_0__{end}__io" SITE "(\w+)"', pins)
        assert site
        assert row == [f"FPGA {site[1]}, {way}", dict(BOARDS[name].adapter)[signal], signal]
        # the tip is at the board for a signal of the adapter
        assert (arrows[y - 5] > 0) == (way == "in")
        assert f'PORT "uart_0__{end}__io" IO_TYPE=LVCMOS33' in pins
    assert [text for text in texts.values() if text.startswith("3.3 V levels, ")]


def test_labels_are_those_of_the_platforms():
    """amaranth_boards has the same pins in the OrangeCrab's connector and the ButterStick's I2C resource."""
    crab, stick = BOARDS["orangecrab"], BOARDS["butterstick"]
    connector = crab.platform().connectors["io", 0].mapping
    i2c = stick.platform().request("i2c", 0, dir="-")
    lines = {f"I2C: {name.upper()}": getattr(i2c, name).io.metadata[0].name for name in ("scl", "sda")}
    for fpga, at in ((crab, connector), (stick, lines)):
        labels, pins = dict(fpga.adapter), constraints(fpga.name)
        for signal, end in (("TXD", "rx"), ("RXD", "tx")):
            assert f'COMP "uart_0__{end}__io" SITE "{at[labels[signal]]}"' in pins


@pytest.mark.parametrize("name", ["orangecrab", "icebreaker", "ulx3s"])
def test_the_leds_pins_are_those_of_the_gateware(name):
    """A board's row has the pins of its LEDs and button, and no others."""
    texts = [each for each in elements("leds.svg") if each.tag == "text"]
    (label,) = (each for each in texts if each.text == BOARDS[name].what.partition(",")[0])
    y = int(label.get("y", 0)) + 18
    drawn = {each.text for each in texts if int(each.get("y", 0)) == y}
    sites = re.findall(r'COMP "(?:rgb_)?(?:led|button)_\w+" SITE "(\w+)"', constraints(name))
    sites = sites or re.findall(r"set_io (?:led|button)_\w+ (\w+)", constraints(name))
    assert sites
    assert drawn == set(sites)
