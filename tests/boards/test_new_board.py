"""A new board is one file; it can be synthesised, and each mistake in it gives an error of one line."""

import json
import re
import subprocess
import sys

import pytest

from nudge.boards.catalog import BOARDS, board, board_of_file
from nudge.boards.toolchain.build import synthesise
from nudge.boards.toolchain.netlist import plan
from nudge.golden.contract.protocol import BuildFacts
from nudge.host.cli.completion import targets
from nudge.plumbing.errors import DesignError, ExitCode
from tests.host.cli.command import run

from .new_board import FILE, add_board


def test_one_file_is_enough_for_a_netlist(monkeypatch, tmp_path):
    """A board without button and LEDs, described as "Lattice ECP5" (with "ice" in it), gets cells of an ECP5
    and its pins."""
    add_board(tmp_path / "boards", monkeypatch)
    fpga = board("bare")
    assert "bare" in BOARDS
    words, spacers = synthesise(fpga, "tiny", BuildFacts(), tmp_path, "yowasp", lambda line: None)
    assert [command[0] for command in words] == ["yosys", "nextpnr-ecp5", "ecppack"]
    assert spacers == 0
    pins = (tmp_path / "top.lpf").read_text()
    assert set(re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)"', pins)) == {
        ("clk_0__io", "G2"),
        ("uart_3__rx__io", "M1"),
        ("uart_3__tx__io", "L4"),
    }
    top = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]
    assert set(top["ports"]) == {"clk_0__io", "uart_3__rx__io", "uart_3__tx__io"}
    kinds = [cell["type"] for cell in top["cells"].values()]
    assert {"TRELLIS_FF", "LUT4", "DP16KD", "DCCA"} <= set(kinds)
    assert kinds.count("TRELLIS_FF") > 500, "the core is in it"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('uart=("uart", 3)', 'uart=("uart", 0)', "bare: Resource uart#0 does not exist"),
        ('uart=("uart", 3)', 'button=("button", 0)', "bare: Resource uart#0 does not exist"),
        ("window=1", 'button=("button", 0)', "bare: Resource button#0 does not exist"),
        (
            'name="bare"',
            'name="Bare Board"',
            "a board's name must be lower case, digits and hyphens, not 'Bare Board'",
        ),
        ("window=1", 'usb="0403:6F15"', "bare: usb must be like 0403:6015, in lower case, not '0403:6F15'"),
        ("24_000_000", "25_600_000", "bare: 25.6 MHz can't make 1000000 baud within 0.5%"),
        ("24_000_000", "24_001_000", "24.001 MHz can't be made from 25 MHz: choose 24000000 Hz, the nearest"),
        ("BarePlatform,", "Missing,", "nudge.boards.bare: NameError: name 'Missing' is not defined"),
        ("CMOS = ", "CMOS == = ", "bare.py, line 13: invalid syntax"),
    ],
)
def test_what_is_wrong_with_a_board_is_one_line(monkeypatch, tmp_path, old, new, message):
    assert FILE.count(old) == 1
    add_board(tmp_path, monkeypatch, FILE.replace(old, new))
    with pytest.raises(DesignError, match=re.escape(message)) as raised:
        plan(board("Bare Board" if "Bare Board" in new else "bare"), "tiny", BuildFacts())
    assert "\n" not in str(raised.value)


FAMILIES = "ICE40 (nextpnr-ice40), ECP5 (nextpnr-ecp5), GOWIN (nextpnr-himbaechel-gowin)"
VENDORS = f"bitstreams are made for these families: {FAMILIES}"


@pytest.mark.parametrize(
    ("platform", "facts", "tools"),
    [
        (
            "GowinPlatform",
            'part, family = "GW1NR-LV9QN88PC6/I5", "GW1NR-9C"',
            "yosys, nextpnr-gowin, gowin_pack",
        ),
        ("XilinxPlatform", 'device, package, speed = "xc7a35ti", "csg324", "1L"', "vivado"),
        ("LatticePlatform", 'device, package, speed = "LCMXO2-1200HC", "TG100", "4"', "pnmainc, ddtcmd"),
    ],
)
def test_a_part_of_another_vendor_is_told_which_there_are(
    monkeypatch, tmp_path, capsys, platform, facts, tools
):
    file = FILE.replace("LatticeECP5Platform", platform).replace(
        'device, package, speed, default_clk = "LFE5U-85F"', "X = 0"
    )
    file = re.sub(r"    X = 0.*", f'    {facts}\n    default_clk = "clk"', file)
    add_board(tmp_path, monkeypatch, file)
    assert "bare" in BOARDS
    assert board("icebreaker").name == "icebreaker"
    message = f"bare: its platform takes {tools}, but {VENDORS}; for other parts, nudge verilog"
    with pytest.raises(DesignError) as raised:
        board("bare")
    assert str(raised.value) == message
    assert run(capsys, "build", "bare", "--preset", "tiny") == (ExitCode.USAGE, "", f"nudge: {message}\n")


def test_a_family_that_there_is_not_is_told_which_there_are(tmp_path):
    (tmp_path / "mine.py").write_text("from nudge.boards.family import Family\nFamily.XILINX\n")
    with pytest.raises(DesignError, match=re.escape(f"mine.py: there is no Family.XILINX, but {VENDORS}")):
        board_of_file(tmp_path / "mine.py", "mine")


def test_a_loader_that_is_not_known_is_a_program_all_the_same(monkeypatch, tmp_path, capsys):
    add_board(tmp_path / "boards", monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "flash", "bare")
    assert (code, err) == (ExitCode.TOOLS, "nudge: ecpprog not found: put it on the PATH\n")


def test_a_board_without_a_loader(monkeypatch, tmp_path, capsys):
    add_board(tmp_path, monkeypatch, FILE.replace('    flash=("ecpprog",),\n', ""))
    code, _, err = run(capsys, "flash", "bare")
    assert code == ExitCode.USAGE
    assert err == "nudge: bare has no command that loads a bitstream: give its Fpga a `flash`\n"


def test_names_need_no_amaranth():
    """Listing the boards' names doesn't import Amaranth, so the command line completes them without delay."""
    code = (
        "import sys; from nudge.boards.catalog import BOARDS; print(list(BOARDS)); assert 'amaranth' not "
        "in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list(BOARDS)) == str(targets(""))
