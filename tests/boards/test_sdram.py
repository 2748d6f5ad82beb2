# amaranth: UnusedElaboratable=no
"""A board's SDRAM has all pins of the chip, a register in each pin, and doesn't affect other boards."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.wiring import connect

from nudge.boards.catalog import BOARDS, board
from nudge.boards.toolchain import tools
from nudge.boards.toolchain.netlist import commands, plan
from nudge.golden.contract.network_file import network
from nudge.golden.contract.protocol import BuildFacts
from nudge.hw.memory.controller import Controller
from nudge.hw.memory.pads import Pads
from nudge.hw.memory.timing import Cycles
from nudge.plumbing.errors import DesignError

WITH_SDRAM = ("ulx3s", "ulx3s-45f", "ulx3s-25f", "icepi-zero", "icesugar-pro")

#: The platform's name of each group of the chip's pins -> its width.
PINS = {"clk": 1, "clk_en": 1, "cs": 1, "ras": 1, "cas": 1, "we": 1, "ba": 2, "a": 13, "dqm": 2, "dq": 16}

#: Registers in the fabric before the direction's register in an I/O cell, which match the two further stages
#: in an ODDRX1F (Amaranth, pull request 1668).
STAGES = 2


class Bare(Elaboratable):
    """Controller and pads, with accesses shifted in and words reduced to a bit through the serial pins."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = Controller(Cycles.of(25_000_000))
        m.submodules.pads = pads = Pads(platform.request("sdram", 0, dir="-"))
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        connect(m, controller.pins, pads.pins)
        port, bits = controller.port, Signal(64)
        access, word = port.access.payload.as_value(), port.write.payload
        m.d.sync += bits.eq(bits << 1 | rx.i)
        m.d.comb += [access.eq(bits), word.eq(bits >> len(access)), controller.delay.eq(bits[60:])]
        m.d.comb += [port.access.valid.eq(1), port.write.valid.eq(1), port.read.ready.eq(1)]
        m.d.comb += tx.o.eq(port.read.payload.xor())
        return m


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Synthesise, place and route `Bare` for the smallest ULX3S; return the folder."""
    fpga, folder = board("ulx3s-25f"), tmp_path_factory.mktemp("sdram")
    options = {"synth_opts": fpga.synth_opts, "nextpnr_opts": "--report report.json"}
    made = fpga.platform().prepare(Bare(), "top", emit_src=False, debug_verilog=False, **options)
    made.extract(folder)
    for words in commands(made)[:2]:
        failure = tools.run(words, "yowasp", folder, folder / f"{words[0]}.log")
        assert failure is None, failure
    return folder


@pytest.fixture(scope="module")
def top(built):
    return json.loads((built / "top.json").read_text())["modules"]["top"]


def test_every_pin_reaches_the_top_level(top):
    found = {name: len(port["bits"]) for name, port in top["ports"].items() if "sdram" in name}
    assert found == {f"sdram_0__{name}__io": width for name, width in PINS.items()}


def test_every_pin_has_a_register_of_its_own(top):
    """Each pin has double data rate registers; a data pin's direction has as many stages as its data."""
    by_output = {
        cell["connections"]["Q"][0]: cell for cell in top["cells"].values() if "Q" in cell["connections"]
    }
    pad = {bit: name for name, port in top["ports"].items() for bit in port["bits"]}
    captured = {cell["connections"]["D"][0] for cell in top["cells"].values() if cell["type"] == "IDDRX1F"}
    kinds: Counter[str] = Counter()
    for cell in top["cells"].values():
        if cell["type"] != "TRELLIS_IO" or "sdram" not in (name := pad[cell["connections"]["B"][0]]):
            continue
        wires = cell["connections"]
        register = by_output[wires["I"][0]]
        assert register["type"] == "ODDRX1F", name
        halves = register["connections"]["D0"], register["connections"]["D1"]
        assert (halves == (["0"], ["1"])) if "__clk__" in name else (halves[0] == halves[1]), name
        if "__dq__" not in name:
            kinds["out"] += 1
            continue
        kinds["both"] += 1
        assert wires["O"][0] in captured, name
        drive = by_output[wires["T"][0]]
        assert "syn_useioff" in drive["attributes"], f"{name}: the register of its direction isn't in the pin"
        for _ in range(STAGES):
            drive = by_output[drive["connections"].get("DI", drive["connections"].get("D"))[0]]
            assert drive["type"] == "TRELLIS_FF", name
    assert kinds == {"out": sum(PINS.values()) - PINS["dq"], "both": PINS["dq"]}


def test_the_registers_are_placed_in_the_pins(built):
    found = json.loads((built / "report.json").read_text())
    assert found["utilization"]["IOLOGIC"]["used"] == sum(PINS.values())
    assert all(clock["achieved"] > 48 for clock in found["fmax"].values())


@pytest.mark.parametrize("name", WITH_SDRAM)
def test_pins_of_the_board(name):
    """The platform has each pin of the SDRAM once, at a site of its own."""
    fpga = board(name)
    assert fpga.sdram is not None
    pins = [entry for entry in fpga.platform().lookup(*fpga.sdram).ios if hasattr(entry, "ios")]
    assert {entry.name: len(entry.ios[0].names) for entry in pins} == PINS
    sites = [site for entry in pins for site in entry.ios[0].names]
    assert len(set(sites)) == sum(PINS.values())


@pytest.mark.parametrize("name", list(BOARDS))
def test_who_has_one(name):
    """tests/boards/test_catalog.py checks the constraints."""
    assert board(name).facts("tiny").sdram == (name in WITH_SDRAM)


@pytest.mark.parametrize("name", ["icebreaker", "orangecrab"])
def test_others_have_no_pin_for_it(name):
    made = plan(board(name), "tiny", BuildFacts())
    assert not re.search("sdram|[IO]DDRX1F", made.files["top.il"])


def test_images_that_can_t_be_stored_leave_it_alone():
    file = {
        "input": {"height": 16, "width": 16},
        "stage": [{"dense": 10}],
        "lanes": {"event": {"lanes": [1, 1]}},
    }
    spec = network({"name": "little"} | file, "little")
    fpga = board("ulx3s").with_network(spec)
    assert not fpga.facts("little").sdram
    assert "sdram" not in plan(fpga, "little", BuildFacts()).files["top.lpf"]


def test_a_board_without_such_pins_is_told():
    fpga = replace(board("orangecrab"), sdram=("sdram", 0))
    with pytest.raises(DesignError, match="orangecrab: Resource sdram#0 does not exist"):
        plan(fpga, "tiny", BuildFacts())
