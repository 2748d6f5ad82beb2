"""Runs, boards and targets have the same options in all commands, and each mistake is one line."""

import json
import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from nudge.boards.catalog import BOARDS
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.host.cli.main import app
from nudge.plumbing.errors import ExitCode

from .command import TRAIN, run, run_json


def parameters(command, words=()):
    """Yield every parameter of every command, with the command's name."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from parameters(inner, (*words, name))
    for parameter in command.params:
        yield " ".join(words), parameter


def test_board_is_where_it_runs_and_target_what_a_bitstream_is_for():
    found = list(parameters(get_command(app)))
    boards = {words for words, each in found if "--board" in each.opts}
    targets = {words for words, each in found if each.name == "target"}
    assert boards == {
        *("train", "resume", "eval", "compare", "bench", "flash"),
        *("board info", "board status", "board check"),
    }
    assert targets == {
        "build",
        "flash",
        "report",
        "estimate",
        "verilog",
        "network show",
        "board throughput",
        "board check",
    }
    assert {
        words for words, each in found if each.name == "target" and each.param_type_name == "argument"
    } == {*("build", "flash", "report", "estimate", "verilog")}
    assert not [words for words, each in found if set(each.opts) & {"--board-file", "--golden"}]
    assert {words for words, each in found if "--resume" in each.opts} == {"sweep"}


def test_the_board_of_a_flash_is_a_word_of_board(capsys):
    code, _, err = run(capsys, "flash", "icebreaker", "--board", "gold")
    assert code == ExitCode.USAGE
    assert err.startswith("nudge: --board must be sim, golden, ")


@pytest.mark.parametrize("command", ["build", "flash", "report", "estimate", "verilog"])
def test_a_target_that_is_none_lists_them(capsys, command):
    code, _, err = run(capsys, command, "moon", *(["--out", "moon.v"] if command == "verilog" else []))
    assert code == ExitCode.USAGE
    assert f"unknown target 'moon': choose one of {', '.join(BOARDS)}" in err


def test_a_run_goes_to_a_new_folder_that_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        code, out, err = run(capsys, *TRAIN)
        assert code == ExitCode.OK
        assert err.splitlines()[0] == f"training in runs/tiny-embedded-{number}"
        assert out.splitlines()[-1].endswith(f"learning curve in runs/tiny-embedded-{number}")
    assert checkpoint.load(Path("runs/tiny-embedded-2/weights.safetensors"))[2].epoch == 2
    code, out, err = run(capsys, *TRAIN, "--preset", "huge")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "unknown preset 'huge'" in err
    assert sorted(path.name for path in Path("runs").iterdir()) == ["tiny-embedded-1", "tiny-embedded-2"]


def test_a_folder_is_called_after_data_of_ones_own():
    source = datasets.Source(datasets.PATH, "/home/me/my letters.npz")
    from nudge.golden.training.folder import unused

    assert unused("mine", source) == Path("runs/mine-my-letters-1")


NO_BOARD = "--board must be sim, golden, a device path, or a URL of socket, rfc2217 or hwgrep, not"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--seed", "1", "--seed", "2"], "--seed is given twice: 1 and 2; choose one"),
        (["train", "--data=mnist", "--data", "mnist"], "--data is given twice: mnist and mnist; choose one"),
        (["train", "--flip", "--no-flip"], "--flip and --no-flip: choose one"),
        (["build", "ulx3s", "--seed", "1", "--seed", "2"], "--seed is given twice: 1 and 2; choose one"),
        (["train", "--lr", "0.1"], "no such option --lr; did you mean --lr-scale?"),
        (["train", "--steps", "8"], "no such option --steps; did you mean --free-steps or --nudged-steps?"),
        (["train", "--borad", "sim"], "no such option --borad; did you mean --board?"),
        (["--versio"], "no such option --versio; did you mean --version?"),
        (["train", "--nonsense"], "no such option --nonsense"),
        (
            ["train", "--board", "gold"],
            f"{NO_BOARD} 'gold'; did you mean golden?",
        ),
        (
            ["board", "info", "--board", "ttyUSB7"],
            f"{NO_BOARD} 'ttyUSB7'",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out, err) == (ExitCode.USAGE, "", f"nudge: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_flag_may_say_the_same_again(capsys, trained):
    code, out, _ = run(capsys, "eval", trained, "--samples", "5", "--json", "--json")
    assert code == ExitCode.OK
    assert json.loads(out)["samples"] == 5


def test_a_device_in_this_folder_is_no_mistake(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ttyX").touch()
    code, _, err = run(capsys, "board", "info", "--board", "ttyX")
    assert code == ExitCode.LINK
    assert err.startswith("nudge: ttyX: ")


@pytest.fixture
def digits(monkeypatch):
    """The embedded digits in place of MNIST, in any folder; a list of the folders that were asked for."""
    images, asked, load = datasets.load("embedded"), [], datasets.load

    def stand_in(source, root=None, *arguments):
        asked.append(root)
        return images if str(source) == "mnist" else load(source, root, *arguments)

    monkeypatch.setattr(datasets, "load", stand_in)
    monkeypatch.delenv("NUDGE_DATA", raising=False)
    return asked


def test_a_run_that_goes_on_looks_for_its_data_where_it_did(capsys, tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *TRAIN, "--data", "mnist", "--data-dir", "sets", "--out", "run")[0] == ExitCode.OK
    assert checkpoint.load(Path("run/weights.safetensors"))[2].data_dir == str(tmp_path / "sets")
    for epochs, options, folder in ((3, [], "sets"), (4, ["--data-dir", "moved"], "moved"), (5, [], "moved")):
        assert run(capsys, "resume", "run", "--epochs", epochs, *options)[0] == ExitCode.OK
        assert digits[-1] == tmp_path / folder
    code, found = run_json(capsys, "eval", "run", "--samples", 5)
    assert (code, found["data"], digits[-1]) == (ExitCode.OK, "mnist", tmp_path / "moved")


def test_a_run_is_named_before_or_after_options(capsys, trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "run")
    assert run(capsys, "resume", out, "--epochs", "3")[0] == ExitCode.OK
    assert run(capsys, "resume", "--epochs", "4", out)[0] == ExitCode.OK
    assert checkpoint.load(out / "weights.safetensors")[2].epoch == 4
    code, _, err = run(capsys, "resume")
    assert (code, err) == (ExitCode.USAGE, "nudge: Missing argument 'RUN'.\n")
