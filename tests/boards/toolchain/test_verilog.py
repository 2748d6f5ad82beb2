# amaranth: UnusedElaboratable=no
"""Exported Verilog has the part's memories, not the models for simulation; other flows accept it."""

import contextlib
import io
import json
import re
import shutil
import subprocess
from functools import cache

import pytest

from nudge.boards.catalog import board
from nudge.boards.icebreaker import ICEBREAKER
from nudge.boards.orangecrab import ORANGECRAB
from nudge.boards.toolchain.power_up import BLOCK_WORDS
from nudge.boards.toolchain.tools import run as run_tool
from nudge.boards.toolchain.verilog import FRAME_BUFFERS, PORTS, synthesisable_verilog
from nudge.boards.virtual.verilator import environment, to_verilog
from nudge.host.cli import main as cli
from nudge.hw.lib.block_memory import UNDEFINED
from nudge.hw.top import Top
from nudge.plumbing.errors import DesignError, ExitCode
from tests.host.cli.command import run
from tests.networks import NETWORKS

#: Registers of `hw.lib.block_memory` that select the inverted word in simulation; its attribute.
COLLISION_MODEL, ATTRIBUTE = re.compile(r"\bundefined_\d+"), f"(* {UNDEFINED} "


@cache
def tiny_for_a_part():
    """Return the export of `tiny` for the OrangeCrab."""
    return synthesisable_verilog(ORANGECRAB, "tiny")


def test_collisions_are_modelled_for_simulation_alone():
    """Only Verilog for simulation models read collisions; on a board the model would give wrong bits."""
    facts, config = ORANGECRAB.facts("tiny"), ORANGECRAB.design("tiny").config
    simulated = to_verilog(
        Top(config, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window), "top"
    )
    assert COLLISION_MODEL.search(simulated)
    assert ATTRIBUTE not in simulated
    text = tiny_for_a_part()
    assert not COLLISION_MODEL.search(text)
    assert ATTRIBUTE in text


def test_no_name_looks_like_a_bit_of_another():
    """No escaped name has a bracket, which Yosys' abc9 would take for a bit of another name, and stop."""
    assert re.search(r"\\\S+<0> ", tiny_for_a_part())
    assert not re.search(r"\\\S*\[", tiny_for_a_part())


def test_what_memories_hold_is_said_in_short_blocks():
    """`initial` blocks are short (Yosys' time grows with the square of a block); frame buffers have none."""
    text = tiny_for_a_part()
    blocks = re.findall(r"^  initial begin\n(.*?)^  end\n", text, re.M | re.S)
    assert max(block.count("\n") for block in blocks) <= BLOCK_WORDS
    assert re.search(r"for \(master_at = 0; .*? master\[i\] = \d+'h0+;", text, re.S)
    for name in FRAME_BUFFERS:
        (module,) = re.findall(rf"^module \S*\.{name} ?\(.*?^endmodule", text, re.M | re.S)
        assert "reg [7:0] memory [" in module
        assert "memory[i]" not in module


def test_primitives_of_the_part_are_taken():
    assert "SB_SPRAM256KA" in synthesisable_verilog(ICEBREAKER, "tiny")


#: The smallest network with a bundle of each kind.
LEAST = """
name = "least"
stage = [{conv = 2}, {conv = 2}, {dense = 10}]
schedule = {free = 4, nudged = 4}
[lanes.event]
lanes = [1, 2, 2, 2]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the network's file."""
    path = tmp_path_factory.mktemp("export")
    (path / "least.toml").write_text(LEAST)
    return path


@pytest.fixture(scope="module", params=["bytes", "uart"])
def exported(request, folder):
    """Export the network; return the path without suffix."""
    out = folder / f"{request.param}.v"
    arguments = [
        "verilog",
        "ulx3s",
        "--network",
        folder / "least.toml",
        "--link",
        request.param,
        "--out",
        out,
        "--json",
    ]
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        assert cli.main(list(map(str, arguments))) == ExitCode.OK
    values = json.loads(written.getvalue())
    assert values["link"] == request.param
    assert values["stores_samples"] is False
    assert {path.rpartition("/")[2] for path in values["files"]} == {
        path.name for path in folder.glob(f"{request.param}*")
    }
    return out.with_suffix("")


def test_ports_are_what_is_said(exported):
    """The exported module has the ports in `PORTS` with direction and width, and pins of the serial line."""
    text = exported.with_suffix(".v").read_text()
    found = {
        (name, way, int(high or 0) + 1)
        for way, high, name in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", text.partition("module top(")[2], re.M
        )
    }
    assert {(port.name, port.direction, port.width) for port in PORTS[exported.name]} <= found
    header = re.search(r"module top\((.*?)\);", text)
    assert header is not None
    assert {port.name for port in PORTS[exported.name]} == set(header[1].split(", "))
    pins = exported.with_suffix(".lpf").read_text()
    assert re.findall(r'LOCATE COMP "(\w+)"', pins) == ["rx", "tx"]
    assert f"clk must have {board('ulx3s').network_hz} Hz; the oscillator clk25 has 25000000 Hz" in pins


@pytest.mark.parametrize(("name", "out"), [("board.json", "board.v"), ("top.lpf", "top.v")])
def test_only_files_of_an_earlier_export_are_replaced(folder, tmp_path, capsys, name, out):
    """An export that would overwrite a foreign file is refused, and writes no file."""
    (tmp_path / name).write_text('{"mine": 1}')
    arguments = ["verilog", "ulx3s", "--network", str(folder / "least.toml"), "--out", str(tmp_path / out)]
    assert cli.main(arguments) == ExitCode.USAGE
    assert name in capsys.readouterr().err.splitlines()[-1]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: '{"mine": 1}'}


def test_the_folder_of_an_export_is_made(folder, tmp_path, capsys):
    out = tmp_path / "made" / "for it" / "least.v"
    assert run(capsys, "verilog", "ulx3s", "--network", folder / "least.toml", "--out", out)[0] == ExitCode.OK
    assert out.with_suffix(".lpf") in set(out.parent.iterdir())
    code, _, err = run(
        capsys, "verilog", "ulx3s", "--network", folder / "least.toml", "--out", "/proc/none/least.v"
    )
    assert (code, err.splitlines()[-1]) == (
        ExitCode.USAGE,
        "nudge: --out /proc/none/least.v: No such file or directory: /proc/none",
    )


def bench(exported, folder):
    """Run the exported bench in Verilator; return its output."""
    # variables that Verilator's `configure` would have set, as in boards.virtual.verilator; coroutines need
    # C++20
    variables = {"PCH_I": "-include", "STD": "-std=gnu++20", "COROUTINES": "-fcoroutines"}
    flags = " ".join(f"CFG_CXXFLAGS_{name}={value}" for name, value in variables.items())
    # no optimisation, since a bench runs for seconds only
    flags += " CFG_LDLIBS_THREADS=-pthread OPT_FAST=-O0 OPT_GLOBAL=-O0"
    files = [f"{exported.name}_tb.v", f"{exported.name}.v"]
    made = folder / f"made-{exported.name}"
    if not made.exists():
        options = [
            "--binary",
            "--timing",
            "-Wall",
            "--top-module",
            "top_tb",
            "--Mdir",
            str(made),
            "-MAKEFLAGS",
            flags,
        ]
        done = subprocess.run(
            ["verilator", *options, *files], cwd=folder, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "%Warning" not in done.stderr
    return subprocess.run([made / "Vtop_tb"], cwd=folder, capture_output=True, text=True, timeout=600).stdout


def test_its_bench_passes_and_can_fail(exported, folder):
    """The bench passes with its script, and fails if an expected byte of an answer is wrong."""
    script = exported.with_suffix(".hex")
    right = script.read_text().split()
    assert "PASSED: " in bench(exported, folder)
    answers = [n for n, step in enumerate(right) if step[0] == "1"]
    wrong = right.copy()
    wrong[answers[-9]] = f"1{int(right[answers[-9]][1:], 16) ^ 1:02x}"
    script.write_text("\n".join(wrong))
    assert f"FAILED: line {answers[-9] + 1} of {script.name}: {right[answers[-9]][1:]}, not " in bench(
        exported, folder
    )
    script.write_text("\n".join(right))


@pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="no Icarus Verilog here: apt-get install iverilog"
)
def test_icarus_takes_it_without_a_word(exported, folder):
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", exported.name]
    done = subprocess.run(
        [*command, f"{exported.name}_tb.v", f"{exported.name}.v"], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    if exported.name == "bytes":  # the serial line takes minutes
        assert (
            "PASSED: "
            in subprocess.run(["vvp", exported.name], cwd=folder, capture_output=True, text=True).stdout
        )


#: Family, as Yosys calls it -> its block RAM.
BLOCK_RAM = {"ecp5": "DP16KD", "ice40": "SB_RAM40_4K", "xilinx": "RAMB", "gowin": "DP"}


def synthesise(file, family):
    """Check that Yosys synthesises an export for a family, with block RAM and without unexpected warnings."""
    script = f"read_verilog {file.name}; synth_{family} -top top; stat"
    failure = run_tool(
        ["yosys", "-q", "-l", "yosys.log", "-p", script], "yowasp", file.parent, file.parent / "out.log"
    )
    assert failure is None
    log = (file.parent / "yosys.log").read_text()
    assert BLOCK_RAM[family] in log
    # expected warnings: about Yosys' own Verilog of the part, and about memories with one word
    known = re.compile(r"^/share/|Replacing memory \\bias with list of registers")
    assert [line for line in log.splitlines() if "Warning: " in line and not known.search(line)] == []


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCK_RAM)
def test_other_flows_take_it(family, folder, tmp_path, capsys):
    out = tmp_path / "least.v"
    code, *_ = run(capsys, "verilog", "ulx3s", "--network", folder / "least.toml", "--out", out)
    assert code == ExitCode.OK
    synthesise(out, family)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "xilinx"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_no_preset_has(name, family, tmp_path, capsys):
    """Other flows accept networks unlike the presets, with one lane for each layer; wider ones have the same
    units."""
    file, out = tmp_path / "mine.toml", tmp_path / "mine.v"
    layers = NETWORKS[name].count("[[stage]]") + 1
    file.write_text(f"{NETWORKS[name]}[lanes.event]\nlanes = {[1] * layers}\n")
    code, *_ = run(capsys, "verilog", "ulx3s", "--network", file, "--out", out)
    assert code == ExitCode.OK
    synthesise(out, family)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["ulx3s", "--out", "x.vhdl"], "--out must end with .v, not 'x.vhdl'"),
        (["moon", "--out", "none/x.v"], "unknown target 'moon'"),
        (
            ["ulx3s", "--out", "x.v", "--link", "spi", "--preset", "tiny"],
            "--link must be uart or bytes, not 'spi'",
        ),
    ],
)
def test_what_cannot_be_exported(capsys, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "verilog", *options)
    assert (code, out) == (ExitCode.USAGE, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_preset_that_the_board_does_not_take():
    with pytest.raises(DesignError, match="has no design for preset 'medium'"):
        synthesisable_verilog(ICEBREAKER, "medium")
