"""A bitstream of a small design with block RAMs and a PLL reads back equal; changes are noticed."""

import json
import random
import re
from dataclasses import replace

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.lib.memory import Memory

from nudge.boards.family import Family
from nudge.boards.toolchain import dfu, readback, tools
from nudge.boards.toolchain.clock import Ecp5Pll
from nudge.plumbing.errors import ToolError

#: Number of the build, with the first and last bit set.
NUMBER = 0x8421_C0D1

WIDTHS = {Family.ECP5: (36, 512), Family.ICE40: (16, 256)}

SYNTHESIS = {
    Family.ECP5: "synth_ecp5 -top top -json top.json",
    Family.ICE40: "synth_ice40 -device u -top top -json top.json",
}
ROUTING = {
    Family.ECP5: [
        *("nextpnr-ecp5", "--25k", "--package", "CABGA381", "--lpf-allow-unconstrained"),
        *("--json", "../top.json", "--textcfg", "top.config"),
    ],
    Family.ICE40: [
        *("nextpnr-ice40", "--up5k", "--package", "sg48", "--json", "../top.json", "--asc", "top.asc")
    ],
}
PACKING = {
    Family.ECP5: ["ecppack", "--compress", "--input", "top.config", "--bit", "top.bit"],
    Family.ICE40: ["icepack", "top.asc", "top.bin"],
}
#: Family and PLL of each design. The second PLL divides by 1 in front of its phase detector, which the
#: unpacker omits.
CASES = {
    "ECP5": (Family.ECP5, Ecp5Pll.of(25_000_000, 55_681_818)),
    "ECP5, undivided": (Family.ECP5, Ecp5Pll.of(25_000_000, 60_000_000)),
    "ICE40": (Family.ICE40, None),
}


def design(family, pll):
    """Return the RTLIL of two initialised memories, read at a counter's address; on an ECP5 with a PLL."""
    m, (width, depth) = Module(), WIDTHS[family]
    m.domains.sync = ClockDomain(reset_less=True)
    source, locked, out = Signal(name="source"), Signal(), Signal(width, name="out")
    if pll:
        m.submodules.pll = pll.instance(source, ClockSignal("sync"), locked)
    else:
        m.d.comb += ClockSignal("sync").eq(source)
    address = Signal(range(depth))
    m.d.sync += address.eq(address + 1)
    chooser, words = random.Random(1), []
    for number in range(2):
        init = [chooser.getrandbits(width) for _ in range(depth)]
        m.submodules[f"memory_{number}"] = memory = Memory(shape=width, depth=depth, init=init)
        port = memory.read_port(domain="sync")
        m.d.comb += port.addr.eq(address)
        words.append(port.data)
    bit = Signal(name="bit")
    m.d.sync += [out.eq(words[0] ^ words[1]), bit.eq(out.xor())]
    return rtlil.convert(m, name="top", ports=[source, bit], emit_src=False)


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    """Make the design; return family, PLL, folder of the build, folder of the route, bitstream."""
    (family, pll), folder = CASES[request.param], tmp_path_factory.mktemp("built")
    place = folder / "seed1"
    place.mkdir()
    (folder / "top.il").write_text(design(family, pll))

    def run(words, where):
        failure = tools.run(words, "yowasp", where, where / f"{words[0]}.log", 600)
        assert failure is None, failure

    run(["yosys", "-q", "-p", f"read_rtlil top.il; {SYNTHESIS[family]}"], folder)
    run(ROUTING[family], place)
    run(readback.numbered(family, PACKING[family], place, NUMBER), place)
    return family, pll, folder, place, place / f"top.{family.suffix}"


def found(made, bitstream):
    family, pll, folder, place, _ = made
    return readback.read_back(bitstream, folder, place, family, NUMBER, pll, "yowasp")


def test_all_is_as_asked_and_what_is_not_is_told(made, tmp_path):
    """The unpacked bitstream equals the routed design; a change of any setting in either is noticed."""
    family, pll, folder, place, bitstream = made
    suffixed = tmp_path / "with-suffix"
    suffixed.write_bytes(dfu.suffixed(bitstream.read_bytes(), 0x1209, 0x5AF0))
    whole = found(made, suffixed)
    assert (whole.memories, whole.initialised) == (2, 2)
    assert whole.words > 10
    unpacked, said = (place / readback.UNPACKED).read_text(), (place / readback.LOG).read_text()
    netlist = json.loads((folder / "top.json").read_text())["modules"]["top"]["cells"]
    routed = (place / ("top.config" if family is Family.ECP5 else "top.asc")).read_text()

    def compare(unpacked=unpacked, build=NUMBER, pll=pll, cells=netlist):
        if family is Family.ECP5:
            return readback._ecp5(unpacked, said, routed, cells.values(), build, pll)
        return readback._ice40(unpacked, routed, cells.values(), build)

    assert compare() == whole
    with pytest.raises(readback.DifferentError, match="build"):
        compare(build=NUMBER ^ 1)
    memory = next(name for name, cell in netlist.items() if cell["type"] in ("DP16KD", "SB_RAM40_4K"))
    parameters = dict(netlist[memory]["parameters"])
    row = next(name for name in parameters if name.startswith("INIT") and "1" in parameters[name])
    parameters[row] = parameters[row].replace("1", "0", 1)
    with pytest.raises(readback.DifferentError, match="1 of 2 block RAMs have other initial contents"):
        compare(cells=netlist | {memory: netlist[memory] | {"parameters": parameters}})
    with pytest.raises(readback.DifferentError, match=r"number of block RAMs 2, not 1|1 of 1 block RAMs"):
        compare(cells={name: cell for name, cell in netlist.items() if name != memory})
    for line in [line for line in unpacked.splitlines() if configures(family, line)][::7]:
        with pytest.raises(readback.DifferentError):
            compare(unpacked.replace(line, flipped(line), 1))
    if pll:
        with pytest.raises(
            readback.DifferentError, match=f"PLL: CLKI_DIV {pll.reference - 1}, not {pll.reference}"
        ):
            compare(pll=replace(pll, reference=pll.reference + 1))
        with pytest.raises(readback.DifferentError, match="number of PLLs 1, not 0"):
            compare(pll=None)


def configures(family, line):
    """Return whether a line configures a lookup table (ECP5) or a logic tile (iCE40)."""
    return "INIT" in line if family is Family.ECP5 else re.fullmatch("[01]{54}", line) and "1" in line


def flipped(line):
    """Return the line with its last digit changed."""
    return line[:-1] + ("1" if line[-1] == "0" else "0")


def test_a_bitstream_that_can_not_be_unpacked_is_said(made, tmp_path):
    (tmp_path / "cut").write_bytes(made[4].read_bytes()[:2000])
    with pytest.raises(ToolError, match=r"can't unpack|isn't what was asked for"):
        found(made, tmp_path / "cut")
