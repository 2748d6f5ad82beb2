"""A new board is one file: it is found, elaborated and synthesised, and told what is wrong with it."""

import json
import re
import subprocess
import sys

import pytest

from boards.catalog import BOARDS, board
from boards.toolchain.build import synthesise
from boards.toolchain.netlist import plan
from golden.contract.errors import DesignError, ExitCode
from golden.contract.protocol import BuildFacts
from host.cli.completion import targets
from tests.host.cli.command import run

from .new_board import FILE, add_board


def test_one_file_is_enough_for_a_netlist(monkeypatch, tmp_path):
    """Without button and LEDs, and with "ICE" in "Lattice ECP5": cells of an ECP5, pins of the file."""
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
    modules = json.loads((tmp_path / "top.json").read_text())["modules"]
    [top] = [module for module in modules.values() if int(module["attributes"].get("top", "0"), 2)]
    assert set(top["ports"]) == {"clk_0__io", "uart_3__rx__io", "uart_3__tx__io"}
    kinds = [cell["type"] for cell in top["cells"].values()]
    assert {"TRELLIS_FF", "LUT4", "DP16KD", "DCCA"} <= set(kinds)
    assert kinds.count("TRELLIS_FF") > 500, "the core is in it"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Family.ECP5", "Family.ICE40", "bare: family ICE40 isn't that of its platform, which takes yosys, nextpnr-ecp5"),
        ('uart=("uart", 3)', 'uart=("uart", 0)', "bare: Resource uart#0 does not exist"),
        ('uart=("uart", 3)', 'button=("button", 0)', "bare: Resource uart#0 does not exist"),
        ("window=1", 'button=("button", 0)', "bare: Resource button#0 does not exist"),
        ('name="bare"', 'name="Bare Board"', "a board's name must be lower case, digits and hyphens, not 'Bare Board'"),
        ("window=1", 'usb="0403:6F15"', "bare: usb must be like 0403:6015, in lower case, not '0403:6F15'"),
        ("24_000_000", "25_600_000", "bare: 25.6 MHz can't make 1000000 baud within 0.5%"),
        ("24_000_000", "24_001_000", "24.001 MHz can't be made from 25 MHz: choose a multiple of 1 MHz"),
        ("BarePlatform,", "Missing,", "boards.bare: NameError: name 'Missing' is not defined"),
        ("CMOS = ", "CMOS == = ", "bare.py, line 14: invalid syntax"),
    ],
)
def test_what_is_wrong_with_a_board_is_one_line(monkeypatch, tmp_path, old, new, message):
    assert FILE.count(old) == 1
    add_board(tmp_path, monkeypatch, FILE.replace(old, new))
    with pytest.raises(DesignError, match=re.escape(message)) as raised:
        plan(board("Bare Board" if "Bare Board" in new else "bare"), "tiny", BuildFacts())
    assert "\n" not in str(raised.value)


def test_a_broken_file_breaks_no_other_board(monkeypatch, tmp_path):
    add_board(tmp_path, monkeypatch, FILE.replace("Family.ECP5", "Family.GOWIN"))
    assert "bare" in BOARDS
    assert board("icebreaker").name == "icebreaker"
    with pytest.raises(DesignError, match=r"boards\.bare: AttributeError: .*GOWIN"):
        board("bare")


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
    """So the command line can list them at once."""
    code = "import sys; from boards.catalog import BOARDS; print(list(BOARDS)); assert 'amaranth' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(list(BOARDS)) == str(targets(""))
