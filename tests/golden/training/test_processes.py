"""`nudge train` gives equal files in any number of processes, resumed or not, and one-line errors."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nudge.golden.training import checkpoint
from nudge.golden.training.processes import World
from nudge.host.cli import main as cli
from nudge.plumbing.errors import ExitCode

TRAIN = ["train", "--board", "golden"]
STEPS = ["--free-steps", "8", "--nudged-steps", "8"]
#: The last batch of an epoch has one sample, so some processes have none.
OPTIONS = ["--samples", "57", "--batch", "8", "--epochs", "2", "--seed", "3", *STEPS]
NETWORK = ["--network", str(Path(__file__).with_name("colour.toml"))]
OPTIONS += ["--shift", "1", "--flip", "--decay", "0.7", "--average", "2", *NETWORK]
SECONDS = 120


def command(processes: int, *options: str, words: Iterable[str] = TRAIN) -> list[str]:
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    return [*launcher, "-m", "nudge", *words, *options]


def launch(processes: int, *options: str, words: Iterable[str] = TRAIN) -> tuple[int, str, str]:
    """Run a command in several processes; return exit code, standard output and standard error."""
    done = subprocess.run(
        command(processes, *options, words=words), capture_output=True, text=True, timeout=SECONDS
    )
    return done.returncode, done.stdout, done.stderr


def load(out: Path):
    _, parameters, found = checkpoint.load(out / "weights.safetensors")
    with (out / "metrics.csv").open() as stream:
        rows = [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(stream)
        ]
    return parameters, found, rows


def assert_same_run(one: Path, two: Path) -> None:
    (a, at_a, rows_a), (b, at_b, rows_b) = load(one), load(two)
    assert all(torch.equal(x, y) for x, y in zip(a.weights + a.biases, b.weights + b.biases, strict=True))
    assert (at_a.plan, at_a.settings, at_a.epoch, at_a.position) == (
        at_b.plan,
        at_b.settings,
        at_b.epoch,
        at_b.position,
    )
    assert rows_a == rows_b


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run with `OPTIONS` in one process, on the golden board."""
    out = tmp_path_factory.mktemp("whole")
    assert cli.main([*TRAIN, *OPTIONS, "--out", str(out)]) == ExitCode.OK
    return out


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_gives_the_same_bits(capfd, tmp_path, whole, processes):
    code, out, err = launch(processes, *OPTIONS, "--out", str(tmp_path))
    assert code == ExitCode.OK, err
    assert_same_run(tmp_path, whole)
    assert load(tmp_path)[1].command.startswith("python -m nudge train --board golden --samples 57")
    # board.json has the counters of a single board
    names = ({p.name for p in folder.iterdir()} - {"board.json"} for folder in (tmp_path, whole))
    assert len(set(map(frozenset, names))) == 1
    assert out.count("test error") == 1, "one process speaks"
    # the test error is equal too: processes also share the evaluation
    assert cli.main(["eval", "--board", "golden", str(whole / "weights.safetensors")]) == ExitCode.OK
    assert out.splitlines()[0] == capfd.readouterr().out.splitlines()[0]


#: Enough batches that the signal comes before the end.
LONG = ["--samples", "402", "--batch", "4", "--seed", "5", "--flip", *NETWORK, *STEPS]


def interrupted(out: Path) -> str:
    """Interrupt a run of two processes with SIGINT once it has weights; return its standard output."""
    arguments = command(2, *LONG, "--epochs", "50", "--out", str(out))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + SECONDS
        while (
            not (out / "weights.safetensors").exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        text, err = process.communicate(timeout=SECONDS)
    assert process.returncode != ExitCode.OK, err  # torchrun, interrupted, ends with its own code
    return text


@pytest.mark.usefixtures("heard")
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    text = interrupted(cut)
    assert f"`nudge resume {cut}` continues it" in text
    _, _, found = checkpoint.load(cut / "weights.safetensors")
    assert f"after {found.epoch * 402 + found.position} of" in text
    epochs = str(found.epoch + 1)
    code, _, err = launch(2, "--epochs", epochs, str(cut), words=("resume",))
    assert code == ExitCode.OK, err
    assert cli.main([*TRAIN, *LONG, "--epochs", epochs, "--out", str(whole)]) == ExitCode.OK
    assert_same_run(cut, whole)


ERRORS = {
    "unknown preset": (
        ["--preset", "huge", "--out", "{tmp}/new"],
        ExitCode.USAGE,
        "'huge': choose one of tiny",
    ),
    "batch": (["--batch", "65", "--out", "{tmp}/new"], ExitCode.USAGE, "--batch must be 1..64, not 65"),
    "unknown option": (["--nonsense", "--out", "{tmp}/new"], ExitCode.USAGE, "--nonsense"),
    "device": (["--device", "abacus", "--out", "{tmp}/new"], ExitCode.USAGE, "'abacus'"),
    "no data": (
        ["--data", "mnist", "--data-dir", "{tmp}", "--out", "{tmp}/new"],
        ExitCode.DATA,
        "{tmp}/MNIST/raw",
    ),
    "nothing to resume": (["resume", "{tmp}/new"], ExitCode.WEIGHTS, "no weights at {tmp}/new"),
    "other version": (["resume", "{tmp}/old"], ExitCode.WEIGHTS, "(spec 00000001), not colour (spec"),
    "would overwrite": (["--out", "{whole}"], ExitCode.USAGE, "`nudge resume` continues it"),
}


def prepare(tmp_path: Path, whole: Path, case: str) -> tuple[list[str], int, str]:
    """Write the files of a case; return its arguments, exit code and words of the error."""
    (tmp_path / "old").mkdir()
    metadata = checkpoint.content(whole / "weights.safetensors", checkpoint.MAX_BYTES)[1] | {"spec": "1"}
    tensors = load_file(whole / "weights.safetensors")
    save_file(
        tensors,
        tmp_path / "old" / "weights.safetensors",
        metadata | {"digest": checkpoint.digest(tensors, metadata)},
    )
    arguments, code, words = ERRORS[case]

    def fill(text: str) -> str:
        return text.replace("{tmp}", str(tmp_path)).replace("{whole}", str(whole))

    return [fill(argument) for argument in arguments], code, fill(words)


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_line_and_nothing_is_written(capsys, tmp_path, whole, case):
    arguments, expected, words = prepare(tmp_path, whole, case)
    before = (whole / "weights.safetensors").read_bytes()
    capsys.readouterr()
    assert cli.main(arguments if arguments[0] == "resume" else [*TRAIN, *arguments]) == expected
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nudge: ")
    assert err.count("\n") == 1
    assert words in err
    assert (whole / "weights.safetensors").read_bytes() == before
    assert not (tmp_path / "new").exists()


def test_several_processes_say_it_once(tmp_path, whole):
    arguments, _, words = prepare(tmp_path, whole, "batch")
    code, out, err = launch(2, *arguments)
    assert code != ExitCode.OK
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("nudge: ")]
    assert [words in line for line in said] == [True], said


def test_a_process_that_dies_ends_the_others(tmp_path):
    arguments = command(2, *LONG, "--epochs", "5000", "--out", str(tmp_path))
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + SECONDS
        while (
            not (tmp_path / "weights.safetensors").exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ranks = {child: Path(f"/proc/{child}/environ").read_bytes().split(b"\0") for child in children}
        (victim,) = (int(child) for child, environment in ranks.items() if b"RANK=1" in environment)
        os.kill(victim, signal.SIGKILL)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode != ExitCode.OK
    assert "Traceback" not in err.split("failed (exitcode")[0], err
    checkpoint.load(tmp_path / "weights.safetensors")


@pytest.fixture
def two(monkeypatch):
    """The environment that torchrun gives the first of two processes."""
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "--board sim: 2 processes can only train --board golden"),
        (["train", "--board", "/dev/none"], "--board /dev/none: 2 processes can only train --board golden"),
        ([*TRAIN, "--twin"], "--twin: not with 2 processes"),
        ([*TRAIN, "--recover", "1"], "--recover: not with 2 processes"),
    ],
)
def test_what_several_processes_can_not_do_is_refused_before_anything_starts(
    capsys, tmp_path, two, arguments, message
):
    assert cli.main([*arguments, "--out", str(tmp_path / "new")]) == ExitCode.USAGE
    assert capsys.readouterr().err == f"nudge: {message}\n"
    assert not (tmp_path / "new").exists()


def test_a_gpu_is_for_the_model_alone(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert cli.main(["train", "--device", "cuda", "--out", str(tmp_path)]) == ExitCode.USAGE
    assert capsys.readouterr().err == "nudge: --board sim: --device cuda can only train --board golden\n"


def test_no_more_threads_than_processors(monkeypatch):
    processors = len(os.sched_getaffinity(0))
    assert World().threads == processors
    assert World(rank=1, size=2, local_rank=1, local_size=2).threads == max(1, processors // 2)
    assert World(size=1000, local_size=1000).threads == 1
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert World.of_environment() == World(5, 8, 1, 4)
