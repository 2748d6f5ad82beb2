"""The `nudge` command on the virtual board: short training runs, comparisons, a served board."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from nudge.boards.virtual import VIRTUAL
from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.contract.config import ENGINES, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint, data
from nudge.host.cli import main as cli
from nudge.host.devices.serial import SerialBoard
from nudge.host.training import record
from nudge.host.training.board_check import phases
from nudge.plumbing.errors import ExitCode

SPEC = preset("tiny")


def run_json(capsys, *arguments) -> tuple[int, dict, str]:
    """Run a `nudge` command with --json; return exit code, the JSON object on stdout, and stderr."""
    capsys.readouterr()
    code = cli.main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    return code, json.loads(out), err


def test_train_with_its_twin_then_eval(capsys, tmp_path):
    code, result, _ = run_json(capsys, "train", "--samples", 8, "--batch", 3, "--twin", "--out", tmp_path)
    assert code == ExitCode.OK
    assert (result["equal"], result["compared"]) == (True, SPEC.parameters + 8 + len(SPEC.bundles))
    on_model = run_json(capsys, "eval", "--board", "golden", result["weights"])[1]
    assert on_model["error_percent"] == result["error_percent"]
    few = ("eval", result["weights"], "--samples", 20)
    on_board = run_json(capsys, *few, "--board", "sim")[1]
    assert on_board == run_json(capsys, *few, "--board", "golden")[1]


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_compare_is_equal(capsys, batch):
    code, result, _ = run_json(capsys, "compare", "--samples", 16, "--batch", batch, "--seed", 7)
    assert code == ExitCode.OK
    assert (result["equal"], result["compared"]) == (True, SPEC.parameters + 16 + len(SPEC.bundles))


@pytest.mark.parametrize("engines", ENGINES)
def test_bench_counts_no_fewer_cycles_than_the_lanes_allow(capsys, engines):
    code, result, _ = run_json(capsys, "bench", "--engines", engines, "--samples", 4)
    assert code == ExitCode.OK
    assert result["cycles_per_training_sample"] == sum(result["phases"].values())
    # cycles count for the phase of the older of two samples: only their sum is comparable with the bound
    assert sum(result["phases"].values()) >= sum(result["bound"].values())
    assert [phase for phase, cycles in result["inference"].items() if cycles] == ["static", "free"]


def test_a_check_of_the_virtual_board_holds_and_is_recorded(capsys, tmp_path):
    code, result, err = run_json(
        capsys, "board", "check", "--board", "sim", "--preset", "tiny", "--out", tmp_path
    )
    assert (code, result["held"], result["kind"]) == (ExitCode.OK, True, record.SIMULATED), err
    assert {line["name"] for line in result["lines"] if line["outcome"] != record.HELD} == {"identity"}
    (kept,) = record.records(tmp_path)
    assert json.loads(json.dumps(kept.values())) == result
    assert (tmp_path / f"{kept.name}.md").read_text() == record.markdown(kept)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_saves_what_the_board_has_learnt(capsys, tmp_path):
    weights = tmp_path / "weights.safetensors"
    command = [
        sys.executable,
        "-m",
        "nudge.host.cli.main",
        "train",
        "--batch",
        "4",
        "--twin",
        "--out",
        str(tmp_path),
        "--json",
    ]
    # a process group of its own: like a terminal, the test sends the signal to the whole group
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    deadline = time.monotonic() + 60
    while not weights.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    result = json.loads(out)
    assert checkpoint.load(weights)[2].position == result["samples"]
    assert result["equal"]


def test_a_served_board_is_refused_for_another_preset(capsys):
    command = [sys.executable, "-m", "nudge.host.cli.main", "board", "serve", "--preset", "tiny"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            code, result, _ = run_json(capsys, "board", "info", "--board", url)
            assert (code, result["identity"]["preset"], result["registers"]["samples"]) == (
                ExitCode.OK,
                "tiny",
                0,
            )
            assert run_json(capsys, "compare", "--samples", 4, "--board", url)[1]["equal"]
            assert run_json(capsys, "board", "info", "--board", url)[1]["registers"]["samples"] == 4
            assert cli.main(["compare", "--preset", "small", "--board", url]) == ExitCode.BOARD
            assert "built for preset tiny" in capsys.readouterr().err
        finally:
            process.terminate()
        assert process.wait(timeout=20) == ExitCode.OK


def test_single_samples_take_the_same_cycles_on_every_line():
    """`board check` compares them with those of a virtual board, whose line has a bit a cycle."""
    found = []
    for divisor in (1, 5):
        facts = replace(VIRTUAL, uart_divisor=divisor)
        with (
            VirtualBoard(configuration(SPEC), board=facts) as virtual,
            SerialBoard(virtual.url, SPEC) as board,
        ):
            found.append(phases(board, data.load("embedded"), seed=0))
    assert found[0] == found[1]
    assert found[0]["training minus"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("engines", ENGINES)
@pytest.mark.parametrize(("name", "samples"), [("small", 16), ("medium", 3)])
def test_compare_is_equal_for_larger_presets(capsys, name, samples, engines):
    code, result, _ = run_json(
        capsys, "compare", "--preset", name, "--engines", engines, "--samples", samples
    )
    spec = preset(name)
    assert code == ExitCode.OK
    assert (result["equal"], result["compared"]) == (True, spec.parameters + samples + len(spec.bundles))
