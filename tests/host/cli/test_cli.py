"""The command line in this process, on the golden model: results, files, exit codes and one-line errors."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge.golden.contract.presets import SHIPPED
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.host.devices import open as boards
from nudge.plumbing.errors import ExitCode
from sim.rigs.link.struck import Fault, struck

from .command import SPEC, STEPS, TRAIN, run, run_json


def test_train_writes_weights_metrics_and_curve(trained):
    spec, parameters, found = checkpoint.load(trained / "weights.safetensors")
    assert spec == SPEC
    assert [tuple(w.shape) for w in parameters.weights] == [b.weight_shape for b in SPEC.bundles]
    assert (found.epoch, found.position, found.plan["seed"], found.plan["batch"]) == (2, 0, 3, 16)
    assert found.settings["free_steps"] == SPEC.schedule.window
    with (trained / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(int(r["epoch"]), int(r["position"]), int(r["samples"])) for r in rows] == [
        (epoch, *at) for epoch in (0, 1) for at in ((16, 16), (32, 16), (40, 8))
    ]
    assert (trained / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    files = ["board.json", "epochs.csv", "learning-curve.png", "metrics.csv", "weights.safetensors"]
    assert sorted(p.name for p in trained.iterdir()) == files
    with (trained / "epochs.csv").open() as stream:
        assert [(end["epoch"], end["samples"]) for end in csv.DictReader(stream)] == [
            ("1", "40"),
            ("2", "80"),
        ]
    counted = json.loads((trained / "board.json").read_text())
    assert (counted["board"], counted["samples"], counted["registers"]["samples"]) == ("golden", 80, 80)


def test_train_json_and_twin(capsys, tmp_path):
    code, result = run_json(capsys, *TRAIN, "--twin", "--out", tmp_path)
    assert code == ExitCode.OK
    assert (result["samples"], result["epochs"], result["equal"]) == (80, 2, True)
    assert result["compared"] == SPEC.parameters + 80 + len(SPEC.bundles)
    assert 0 <= result["error_percent"] <= 100
    assert result["samples_per_second"] > 0
    assert Path(result["weights"]).exists()


def test_twin_says_that_it_is_bit_identical(capsys, tmp_path):
    code, out, _ = run(capsys, *TRAIN, "--twin", "--out", tmp_path)
    assert code == ExitCode.OK
    assert out.splitlines()[-1] == f"bit-identical: board == golden ({SPEC.parameters} weights)"


def test_same_seed_same_weights(capsys, trained, tmp_path):
    run(capsys, *TRAIN, "--seed", "3", "--out", tmp_path / "same")
    run(capsys, *TRAIN, "--seed", "4", "--out", tmp_path / "other")
    same, other = (checkpoint.load(tmp_path / name / "weights.safetensors")[1] for name in ("same", "other"))
    expected = checkpoint.load(trained / "weights.safetensors")[1]
    assert all((a == b).all() for a, b in zip(same.weights, expected.weights, strict=True))
    assert not all((a == b).all() for a, b in zip(other.weights, expected.weights, strict=True))


def test_train_refuses_to_overwrite(capsys, trained):
    before = (trained / "weights.safetensors").read_bytes()
    code, _, err = run(capsys, *TRAIN, "--seed", "9", "--out", trained)
    assert code == ExitCode.USAGE
    assert "`nudge resume` continues it" in err
    assert "--force" in err
    assert (trained / "weights.safetensors").read_bytes() == before


def test_resume_with_other_options_is_refused(capsys, trained):
    code, _, err = run(capsys, "resume", trained, "--batch", "8")
    assert code == ExitCode.USAGE
    assert err == "nudge: no such option --batch\n"


def test_eval_gives_what_train_gave(capsys, tmp_path):
    _, training = run_json(capsys, *TRAIN, "--out", tmp_path)
    code, result = run_json(capsys, "eval", "--board", "golden", training["weights"])
    assert code == ExitCode.OK
    assert result["error_percent"] == training["error_percent"]
    confusion = result["confusion"]
    assert sum(map(sum, confusion)) == result["samples"] == training["test_samples"]
    wrong = result["samples"] - sum(confusion[i][i] for i in range(len(confusion)))
    assert result["error_percent"] == 100 * wrong / result["samples"]
    counts = [result["predictions"].count(digit) for digit in range(len(confusion))]
    assert counts == [sum(row[digit] for row in confusion) for digit in range(len(confusion))]


def interrupted(out: Path, number: int, *options: str) -> tuple[str, str]:
    """Send a signal to a training as soon as it has begun; return its standard output and error."""
    command = [sys.executable, "-m", "nudge.host.cli.main", *LONG, "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while (
        not (out / "weights.safetensors").exists() and process.poll() is None and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    texts = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED, texts
    return texts


def test_resuming_a_finished_run_says_so_and_tests_again(capsys, trained):
    weights = (trained / "weights.safetensors").read_bytes()
    arguments = ("resume", trained)
    code, out, _ = run(capsys, *arguments)
    assert code == ExitCode.OK
    error, rest = out.splitlines()
    assert rest == f"the run was finished before; weights, metrics and learning curve in {trained}"
    assert (trained / "weights.safetensors").read_bytes() == weights
    assert run(capsys, "eval", trained)[1].splitlines()[0] == error
    assert run_json(capsys, *arguments)[1]["samples_per_second"] is None


def test_a_run_goes_on_with_its_board(capsys, trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "run")
    where = run_json(capsys, "resume", "--epochs", "3", out)
    assert where[0] == ExitCode.OK
    assert json.loads((out / "board.json").read_text())["board"] == "golden"
    # board.json has no digest, so resume doesn't take the board from it
    (out / "board.json").write_text('{"board": "socket://192.0.2.1:1", "registers": {}, "link": {}}')
    code, text, _ = run(capsys, "resume", "--epochs", "4", out)
    assert code == ExitCode.OK
    assert "on board 'golden'" in text


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.delenv(datasets.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_eval_takes_a_file_a_run_or_a_packaged_name(capsys, no_data, trained, tmp_path, monkeypatch):
    file = run_json(capsys, "eval", trained / "weights.safetensors")
    assert file[0] == ExitCode.OK
    assert run_json(capsys, "eval", trained) == file
    packaged = run_json(capsys, "eval", "tiny-mnist")
    assert packaged == run_json(capsys, "eval", SHIPPED / "tiny-mnist.safetensors")
    assert packaged[1]["error_percent"] < 10
    # a file in the working folder comes first
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny-mnist").write_bytes((trained / "weights.safetensors").read_bytes())
    assert run_json(capsys, "eval", "tiny-mnist") == file


def test_eval_tests_on_what_the_weights_learnt(capsys, no_data, monkeypatch, trained):
    """MNIST if it is there, else its embedded digits, with a note; a note also names another data set."""
    digits = datasets.load("embedded")
    few = ["--samples", "20"]
    code, _, err = run(capsys, "eval", "tiny-mnist", *few)
    assert code == ExitCode.OK
    assert "testing on the 500 embedded digits" in err
    assert run_json(capsys, "eval", "tiny-mnist", *few)[1]["data"] == "embedded"
    assert "learnt" not in run(capsys, "eval", "tiny-mnist", "--data", "embedded", *few)[2]

    loaded = []

    def load(name, root=None, shown=None):
        loaded.append(name)
        return digits

    monkeypatch.setattr(datasets, "load", load)
    for weights, options in (
        ("tiny-mnist", ["--data-dir", "somewhere"]),
        ("wide-fashion-mnist", []),
        (trained, []),
        ("wide-fashion-mnist", ["--data", "mnist"]),
        ("tiny-mnist", ["--data", "fashion-mnist"]),
    ):
        code, _, err = run(capsys, "eval", weights, *few, *options)
        assert code == ExitCode.OK
        assert ("learnt" in err) == ("--data" in options)
    assert [str(each) for each in loaded] == ["mnist", "fashion-mnist", "embedded", "mnist", "fashion-mnist"]
    assert err.startswith("tiny-mnist learnt 'mnist'; this is its error on fashion-mnist\n")


def test_eval_needs_no_board(capsys, monkeypatch, trained):
    """A fresh install may have no compiler, and the model's predictions equal those of every board."""
    asked = run_json(capsys, "eval", trained, "--board", "golden")
    monkeypatch.setattr(boards, "virtual_board", None)
    assert run_json(capsys, "eval", trained) == asked


BATCHES = ["train", "--board", "golden", "--samples", "402", "--batch", "4", *STEPS]
LONG = [*BATCHES, "--epochs", "20"]


@pytest.mark.usefixtures("heard")
def test_interrupted_run_resumes_to_the_same_weights(capsys, tmp_path):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    result = json.loads(interrupted(cut, signal.SIGINT, "--json")[0])
    assert result["interrupted"]
    _, _, found = checkpoint.load(cut / "weights.safetensors")
    assert found.epoch * 402 + found.position == result["samples"]
    epochs = str(found.epoch + 2)
    assert run(capsys, "resume", "--epochs", epochs, cut)[0] == ExitCode.OK
    assert run(capsys, *BATCHES, "--epochs", epochs, "--out", whole)[0] == ExitCode.OK
    assert_same_run(cut, whole)


def assert_same_run(one: Path, two: Path) -> None:
    (_, a, at_a), (_, b, at_b) = (checkpoint.load(out / "weights.safetensors") for out in (one, two))
    for x, y in zip(a.weights + a.biases, b.weights + b.biases, strict=True):
        assert (x == y).all()
    assert (at_a.epoch, at_a.position, at_a.plan) == (at_b.epoch, at_b.position, at_b.plan)
    rows = []
    for out in (one, two):
        with (out / "metrics.csv").open() as stream:
            rows.append([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)])
    assert rows[0] == rows[1]


@pytest.mark.usefixtures("heard")
def test_sigterm_ends_as_sigint_does(tmp_path):
    out, err = interrupted(tmp_path, signal.SIGTERM)
    assert f"`nudge resume {tmp_path}` continues it" in out
    assert "Traceback" not in err
    checkpoint.load(tmp_path / "weights.safetensors")


COMPARE = ["compare", "--board", "golden", "--samples", "24", "--batch", "8", "--seed", "7"]


def test_compare_says_how_many_were_compared(capsys):
    code, result = run_json(capsys, *COMPARE)
    assert code == ExitCode.OK
    assert result["equal"]
    assert result["compared"] == SPEC.parameters + 24 + len(SPEC.bundles)


def test_compare_names_a_wrong_weight(capsys, monkeypatch):
    monkeypatch.setattr(
        boards, "open_board", lambda name, spec, *_, **__: struck(name, spec, Fault(2, 1695, 15), 1)
    )
    code, out, err = run(capsys, *COMPARE, "--json")
    assert code == ExitCode.DIFFERENT
    result = json.loads(out)
    assert result["equal"] is False
    assert "bundle 2 weight 1695 [2, 343]: board " in err
    assert result["difference"] in err
