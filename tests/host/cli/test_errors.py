"""Errors of the command line: one line each, with its own exit code; help and version."""

import importlib.metadata
import os
import subprocess
import sys

import pytest
import serial

from nudge.host.devices import open as boards
from nudge.plumbing import DISTRIBUTION
from nudge.plumbing.errors import BoardError, ExitCode, IdentityError, ToolError

from .command import run

LONG = "x" * 5000

ERRORS = {
    "unknown preset": (
        ["compare", "--preset", "huge", "--board", "golden"],
        ExitCode.USAGE,
        "'huge': choose one of tiny",
    ),
    "unknown option": (["compare", "--nonsense"], ExitCode.USAGE, "--nonsense"),
    "no command": (["nonsense"], ExitCode.USAGE, "nonsense"),
    "not a number": (["compare", "--samples", "x"], ExitCode.USAGE, "--samples"),
    "too many samples": (["compare", "--board", "golden", "--samples", "5000"], ExitCode.USAGE, "1..1000"),
    "batch": (["compare", "--board", "golden", "--batch", "65"], ExitCode.USAGE, "1..64"),
    "negative seed": (["compare", "--board", "golden", "--seed", "-1"], ExitCode.USAGE, "--seed"),
    "steps": (
        ["train", "--board", "golden", "--free-steps", "2", "--out", "{tmp}/new"],
        ExitCode.USAGE,
        "4..4095",
    ),
    "beta": (
        ["train", "--board", "golden", "--beta", "0", "--out", "{tmp}/new"],
        ExitCode.USAGE,
        "beta must be",
    ),
    "learning rate": (
        ["train", "--board", "golden", "--lr-scale", "1000", "--out", "{tmp}/new"],
        ExitCode.USAGE,
        "learning rate",
    ),
    "out is a file": (
        ["train", "--board", "golden", "--out", "{tmp}/text/run"],
        ExitCode.USAGE,
        "{tmp}/text/run",
    ),
    "not writable": (
        ["train", "--board", "golden", "--force", "--out", "{tmp}/odd"],
        ExitCode.USAGE,
        "{tmp}/odd/weights",
    ),
    "no data": (
        ["compare", "--board", "golden", "--data", "mnist", "--data-dir", "{tmp}"],
        ExitCode.DATA,
        "MNIST",
    ),
    "no data, and where they are": (
        ["compare", "--board", "golden", "--data", "mnist", "--data-dir", "{tmp}"],
        ExitCode.DATA,
        "`nudge data get mnist --dir {tmp}` fetches it",
    ),
    "long data": (["compare", "--board", "golden", "--data", LONG], ExitCode.USAGE, "File name too long"),
    "long path": (["eval", "tiny-mnist", "--data", f"/{LONG}"], ExitCode.USAGE, "File name too long"),
    "long folder": (
        ["eval", "tiny-mnist", "--data-dir", LONG],
        ExitCode.DATA,
        "File name too long",
    ),
    "fetch into a long folder": (
        ["data", "get", "mnist", "--dir", LONG],
        ExitCode.DATA,
        "File name too long",
    ),
    "no such data to fetch": (
        ["data", "get", "mnst"],
        ExitCode.USAGE,
        "'mnst': choose from mnist, fashion-mnist",
    ),
    "unknown data": (
        ["compare", "--board", "golden", "--data", "mnst"],
        ExitCode.USAGE,
        "'mnst': choose one of embedded",
    ),
    "data to train": (
        ["train", "--board", "golden", "--data", "mnst", "--out", "{tmp}/new"],
        ExitCode.USAGE,
        "'mnst': choose one of embedded",
    ),
    "data to test": (
        ["eval", "tiny-mnist", "--data", "mnst"],
        ExitCode.USAGE,
        "'mnst': choose one of embedded",
    ),
    "no such port": (["compare", "--board", "{tmp}/none"], ExitCode.LINK, "no such port"),
    "refused connection": (
        ["board", "info", "--board", "socket://127.0.0.1:1"],
        ExitCode.LINK,
        "socket://127.0.0.1:1",
    ),
    "port busy": (["compare", "--board", "{busy}"], ExitCode.LINK, "busy"),
    "no weights": (["eval", "--board", "golden", "{tmp}/none"], ExitCode.WEIGHTS, "no weights at"),
    "nothing to resume": (["resume", "{tmp}"], ExitCode.WEIGHTS, "no weights at"),
    "no such weights": (["eval", "smal-mnist"], ExitCode.WEIGHTS, "one of cifar-cifar10,"),
    "no run": (["eval", "{tmp}"], ExitCode.WEIGHTS, "no weights at {tmp}/weights.safetensors"),
    "garments": (
        ["eval", "wide-fashion-mnist", "--data-dir", "{tmp}"],
        ExitCode.DATA,
        "{tmp}/FashionMNIST/raw",
    ),
    "no MNIST where it is said to be": (
        ["eval", "tiny-mnist", "--data-dir", "{tmp}"],
        ExitCode.DATA,
        "{tmp}/MNIST/raw",
    ),
    "no safetensors": (["eval", "--board", "golden", "{tmp}/text"], ExitCode.WEIGHTS, "no safetensors file"),
    "other preset": (
        ["eval", "--board", "golden", "--preset", "small", "{weights}"],
        ExitCode.WEIGHTS,
        "not small",
    ),
}


@pytest.fixture
def busy():
    """A serial port that another program has open."""
    primary, secondary = os.openpty()
    name = os.ttyname(secondary)
    with serial.Serial(name, exclusive=True):
        yield name
    os.close(primary)
    os.close(secondary)


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_with_their_own_code(capsys, tmp_path, trained, busy, case):
    (tmp_path / "text").write_text("no weights")
    (tmp_path / "odd" / "weights.safetensors").mkdir(parents=True)
    places = {"{tmp}": str(tmp_path), "{weights}": str(trained / "weights.safetensors"), "{busy}": busy}

    def fill(text: str) -> str:
        for name, value in places.items():
            text = text.replace(name, value)
        return text

    arguments, expected, words = ERRORS[case]
    code, out, err = run(capsys, *map(fill, arguments))
    assert code == expected
    assert out == ""
    assert err.startswith("nudge: ")
    assert err.count("\n") == 1
    assert fill(words) in err


@pytest.mark.parametrize(
    "error", [IdentityError("built for 'small'"), BoardError("refused TRAIN: BAD_ORDER")]
)
def test_what_a_board_says_ends_with_the_boards_code(capsys, monkeypatch, error):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(boards, "SerialBoard", refuse)
    code, _, err = run(capsys, "compare", "--board", "socket://somewhere")
    assert (code, err) == (ExitCode.BOARD, f"nudge: {error}\n")


def test_missing_tools_are_named(capsys, monkeypatch):
    virtual = pytest.importorskip("nudge.boards.virtual.board")

    def missing(*arguments, **options):
        raise ToolError("g++ not found: apt-get install g++")

    monkeypatch.setattr(virtual, "board_program", missing)
    code, _, err = run(capsys, "compare", "--board", "sim")
    assert (code, err) == (ExitCode.TOOLS, "nudge: g++ not found: apt-get install g++\n")


def test_without_a_command_there_is_help(capsys):
    for group in ([], ["board"]):
        code, out, err = run(capsys, *group)
        assert (code, err) == (ExitCode.OK, "")
        assert out == run(capsys, *group, "--help")[1]


@pytest.mark.parametrize("module", ["nudge", "nudge.host.cli.main"])
def test_version(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert done.stdout == f"nudge {importlib.metadata.version(DISTRIBUTION)}\n"


def test_help_lists_the_exit_codes(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == ExitCode.OK
    for number, what in ((code, code.what) for code in ExitCode):
        assert f"{number:3}  {what}" in out
