"""Each odd value ends in one line and its exit code, at once, and nothing is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nudge.host.cli.run import run as run_app
from nudge.host.cli.work import evaluation
from nudge.host.training import compare
from nudge.plumbing.errors import ExitCode

from .command import TRAIN, run

NEW = ["--out", "new"]

#: Arguments, exit code, and words of the error.
CASES = [
    (
        [*TRAIN, *NEW, "--seed", str(1 << 63)],
        ExitCode.USAGE,
        f"--seed must be 0..{(1 << 63) - 1}, not {1 << 63}",
    ),
    ([*TRAIN, *NEW, "--seed", "-1"], ExitCode.USAGE, "--seed must be 0.."),
    *(
        ([*TRAIN, *NEW, "--beta", value], ExitCode.USAGE, "beta must be 0.00390625..1.99609, not")
        for value in ("nan", "inf", "-inf", "1e308", "-1", "0", "2")
    ),
    ([*TRAIN, *NEW, "--lr-scale", "1e308"], ExitCode.USAGE, "bundle 1: learning rate must be 0 or"),
    *(
        ([*TRAIN, *NEW, "--lr-scale", value], ExitCode.USAGE, "--lr-scale must be positive, not")
        for value in ("nan", "inf", "0", "-1")
    ),
    *(
        ([*TRAIN, *NEW, "--decay", value], ExitCode.USAGE, "--decay must be above 0 and at most 1, not")
        for value in ("nan", "0", "1.1", "-inf")
    ),
    ([*TRAIN, *NEW, "--recover", "-1"], ExitCode.USAGE, "--recover must be 0 or more, not -1"),
    (
        ["train", "--board", "golden", *NEW, "--epochs", "100001"],
        ExitCode.USAGE,
        "--epochs must be 1..100000, not 100001",
    ),
    ([*TRAIN, *NEW, "--shift", "5"], ExitCode.USAGE, "--shift must be 0..4, not 5"),
    ([*TRAIN, *NEW, "--preset", ""], ExitCode.USAGE, "unknown preset '': choose one of tiny"),
    ([*TRAIN, *NEW, "--data", ""], ExitCode.USAGE, "unknown data set ''"),
    ([*TRAIN, "--out", "\udcff"], ExitCode.USAGE, "its name isn't UTF-8, as a weight file's must be"),
    (
        ["bench", "--board", "golden", "--threads", "100000"],
        ExitCode.USAGE,
        "--threads must be 1..256, not 100000",
    ),
    (
        ["bench", "--board", "golden", "--batch", str(10**30)],
        ExitCode.USAGE,
        f"--batch must be 1..65536, not {10**30}",
    ),
    (["bench", "--board", "golden", "--batch", "0"], ExitCode.USAGE, "--batch must be 1..65536, not 0"),
    (["board", "throughput", "--baud", "inf"], ExitCode.USAGE, "'--baud'"),
    (["board", "throughput", "--baud", "nan"], ExitCode.USAGE, "'--baud'"),
    (["board", "throughput", "--delay", "inf"], ExitCode.USAGE, "'--delay'"),
    (
        ["board", "info", "--board", "spy:///dev/null?file=new"],
        ExitCode.LINK,
        "a URL of socket, rfc2217, hwgrep, not of spy",
    ),
    (
        ["board", "info", "--board", "loop://?foo"],
        ExitCode.LINK,
        "a URL of socket, rfc2217, hwgrep, not of loop",
    ),
    (["board", "info", "--board", "hwgrep://("], ExitCode.LINK, "hwgrep://(: "),
    (["board", "info", "--board", "rfc2217://localhost:1"], ExitCode.LINK, "rfc2217://localhost:1: "),
    (["board", "info", "--board", "socket://"], ExitCode.LINK, "socket://: "),
    (["board", "info", "--board", ""], ExitCode.USAGE, "--board must be sim, golden, a device path"),
    (["network", "show", "/dev/zero"], ExitCode.USAGE, "--network /dev/zero: "),
]


@pytest.mark.parametrize(("arguments", "code", "words"), CASES, ids=range(len(CASES)))
def test_what_nobody_means_is_one_line(arguments, code, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_epochs_are_no_way_to_resume(capsys, trained):
    code, _, err = run(capsys, "resume", "--epochs", "0", trained)
    assert code == ExitCode.USAGE
    assert "--epochs 0: the run in " in err


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), RecursionError("too deep"), MemoryError()]
)
def test_what_nothing_foresaw_has_a_code_and_a_log_of_its_own(error, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(compare, "compare", fail)
    code, out, err = run(capsys, "compare", "--board", "golden", "--samples", "2")
    assert (code, out) == (ExitCode.FAULT, "")
    (log,) = tmp_path.glob("nudge-*.log")
    what = (
        "out of memory" if isinstance(error, MemoryError) else f"unexpected {type(error).__name__}: {error}"
    )
    assert err == f"nudge: {what}; please report it with {log}\n"
    assert "Traceback" in log.read_text()
    assert "in fail" in log.read_text()


def test_without_a_place_for_the_log_there_is_still_a_line(capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    monkeypatch.setattr(evaluation, "open_board", lambda *_: 1 / 0)
    code, _, err = run(capsys, "eval", "tiny-mnist", "--samples", "2", "--data", "embedded")
    assert code == ExitCode.FAULT
    assert err == "nudge: unexpected ZeroDivisionError: division by zero\n"


def nudge(*arguments, **options):
    command = [sys.executable, "-m", "nudge", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def test_a_reader_that_has_gone_is_no_fault():
    """As in `nudge eval ... | head -1`."""
    end, pipe = os.pipe()
    os.close(end)
    with nudge("eval", "tiny-mnist", "--samples", "5", "--data", "embedded", stdout=pipe) as process:
        os.close(pipe)
        _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.USAGE
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_a_full_standard_error_stops_nothing():
    with Path("/dev/full").open("w") as full:
        command = [
            sys.executable,
            "-m",
            "nudge",
            "eval",
            "tiny-mnist",
            "--samples",
            "5",
            "--data",
            "embedded",
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert done.stdout.startswith("test error ")
    assert done.returncode == ExitCode.OK


def test_the_command_of_an_application_ends_with_its_code():
    """`run` returns the exit code that the application returns."""
    assert run_app(lambda **_: 3, "x", []) == 3  # type: ignore[arg-type]
