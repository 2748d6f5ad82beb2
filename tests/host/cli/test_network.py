"""A network file is needed to train, but not to resume or evaluate; the board is the golden model."""

import re
import shutil

import pytest

from nudge.golden.contract.presets import FOLDER, PRESETS
from nudge.golden.training import checkpoint
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing.errors import ExitCode

from .command import run, run_json

MINE = """\
name = "mine"
stage = [{conv = 3, kernel = 5}, {dense = 12}, {dense = 10}]
schedule = {free = 6, nudged = 4}
learning = {rates = [0.4, 0.2, 0.15], batch = 16}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def begin(capsys, file, out):
    return run(
        capsys, "train", "--network", file, "--board", "golden", "--samples", 32, "--epochs", 2, "--out", out
    )


def test_weights_of_a_file_need_it_no_more(capsys, file, tmp_path):
    assert begin(capsys, file, tmp_path / "run")[0] == ExitCode.OK
    expected = checkpoint.load(tmp_path / "run" / "weights.safetensors")[1]
    half = ["train", "--board", "golden", "--out", tmp_path / "half"]
    code, *_ = run(capsys, *half, "--network", file, "--samples", 32, "--epochs", 1)
    assert code == ExitCode.OK
    file.unlink()
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "half", moved)
    code, *_ = run(capsys, "resume", moved, "--epochs", 2)
    assert code == ExitCode.OK
    spec, found, _ = checkpoint.load(moved / "weights.safetensors")
    assert (spec.name, spec.parameters) == ("mine", 3 * 26 + 12 * 433 + 10 * 13)
    pairs = zip(expected.weights + expected.biases, found.weights + found.biases, strict=True)
    assert all(a.equal(b) for a, b in pairs)
    code, result = run_json(capsys, "eval", moved, "--samples", 20)
    assert (code, result["samples"]) == (ExitCode.OK, 20)


def test_weights_are_compared_where_the_file_is_not(capsys, file, tmp_path, monkeypatch):
    """`compare --weights` loads the run's weights into both board and model, without the network file."""
    loaded, load = [], GoldenBoard.load

    def noted(board, parameters):
        loaded.append(parameters)
        load(board, parameters)

    monkeypatch.setattr(GoldenBoard, "load", noted)
    assert begin(capsys, file, tmp_path / "run")[0] == ExitCode.OK
    file.unlink()
    monkeypatch.chdir("/")
    expected = checkpoint.load(tmp_path / "run" / "weights.safetensors")[1]
    loaded.clear()
    options = ["compare", "--board", "golden", "--weights", tmp_path / "run", "--samples", 4]
    code, result = run_json(capsys, *options)
    assert (code, result["equal"], result["predictions"]) == (ExitCode.OK, True, 4)
    # both begin with zeros
    assert len(loaded) == 4
    for parameters in loaded[2:]:
        assert all(a.equal(b) for a, b in zip(parameters.weights, expected.weights, strict=True))
    code, _, err = run(capsys, *options, "--preset", "tiny")
    assert code == ExitCode.WEIGHTS
    assert "weights.safetensors is of mine (spec " in err


def test_a_run_is_of_one_network(capsys, file, tmp_path):
    assert begin(capsys, file, tmp_path / "run")[0] == ExitCode.OK
    code, _, err = run(capsys, "eval", tmp_path / "run", "--preset", "tiny")
    assert code == ExitCode.WEIGHTS
    assert "not tiny (spec " in err


def test_a_copied_preset_is_that_preset(capsys, file, tmp_path):
    file.write_text((FOLDER / "tiny.toml").read_text().replace('"tiny"', '"copy"'))
    assert begin(capsys, file, tmp_path / "run")[0] == ExitCode.OK
    assert checkpoint.load(tmp_path / "run" / "weights.safetensors")[0] == PRESETS["tiny"].__class__(
        "copy", *(getattr(PRESETS["tiny"], name) for name in ("stages", "schedule", "learning", "formats"))
    )
    assert run(capsys, "eval", tmp_path / "run", "--preset", "tiny", "--samples", 5)[0] == ExitCode.OK


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "tiny"], "not with --preset tiny, choose one"),
        ([], "stage 1: conv must be a whole number 1..16384, not -1"),
    ],
)
def test_a_network_that_cannot_be_is_said_at_once(capsys, file, tmp_path, options, message):
    file.write_text(MINE.replace("conv = 3", "conv = -1"))
    code, out, err = run(
        capsys, "train", "--network", file, *options, "--board", "golden", "--out", tmp_path / "run"
    )
    assert (code, out) == (ExitCode.USAGE, "")
    assert message in err
    assert err.count("\n") == 1


def test_show_says_what_a_network_is(capsys, file):
    code, out, _ = run(capsys, "network", "show", file)
    assert code == ExitCode.OK
    for expected in ("conv 5x5", "3x12x12", "5,184", "5,404 weights and biases", "6 + 2 x 4 sweeps"):
        assert expected in out
    file.write_text(
        MINE.replace("nudged = 4", "nudged = 4, feedback_shift = 2, fine = [4, 2, 1], centred = true")
    )
    code, out, _ = run(capsys, "network", "show", file)
    assert code == ExitCode.OK
    for expected in ("from above comes 1/4 of each drive", "worth 2^-4, 2^-2, 2^-1", "commits centred"):
        assert expected in out
    file.write_text(
        MINE.replace("kernel = 5", "kernel = 5, padding = 2") + "[input]\nchannels = 3\nheight = 20\n"
    )
    code, out, _ = run(capsys, "network", "show", file)
    assert code == ExitCode.OK
    assert re.search(r"0 +│ image +│ 3x20x28 ", out)
    assert "padding 2" in out
    code, found = run_json(capsys, "network", "show", "small", "--samples", 4, "--weights", "small-mnist")
    assert code == ExitCode.OK
    assert (
        found["parameters"]
        == PRESETS["small"].parameters
        == sum(x["weights"] for x in found["layers"]) + 8 + 16 + 32 + 10
    )
    assert found["memory_bits"]["masters"] == 18 * PRESETS["small"].parameters
    assert all(0 < layer["spikes_per_neuron_and_step"] < 1 for layer in found["layers"])
    code, _, err = run(capsys, "network", "show", "none.toml")
    assert code == ExitCode.USAGE
    assert "none.toml: No such file or directory" in err
