"""A process of `nudge` ends in good order if interrupted at any moment, or without streams or packages."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge.host.cli import ending
from nudge.plumbing.errors import ExitCode
from nudge.plumbing.signals import ENDING

from .command import TRAIN

NUDGE = [sys.executable, "-m", "nudge"]
EVAL = [*NUDGE, "eval", "tiny-mnist", "--samples", "5", "--data", "embedded"]


def caught(process: subprocess.Popen) -> bool:
    """Return whether the process catches SIGTERM, which Python alone doesn't: then `start` is running."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("seed", range(5))
def test_an_interrupt_at_any_moment_is_one_line_and_130(tmp_path, seed):
    """Interrupts come during imports, before, in or after the training, which may also be complete first."""
    chooser = random.Random(seed)
    number, delay = chooser.choice(ENDING), 0.0 if seed == 0 else chooser.uniform(0, 4)
    command = [*NUDGE, *TRAIN, "--json", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not caught(process):
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    if process.returncode == ExitCode.OK:
        assert '"error_percent"' in out
    else:
        assert process.returncode == ExitCode.INTERRUPTED
        assert err.endswith("nudge: interrupted\n") or '"interrupted": true' in out


def test_an_interrupt_in_generated_code_leaves_the_exit_code(tmp_path):
    """CPython notes an interrupt in a string's code, caught or not, and ends `python -m` by SIGINT."""
    (tmp_path / "generated.py").write_text("""
import sys
from nudge.host.cli import main, start

def run(arguments):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130

main.main = run
sys.exit(start.main())
""")
    command = [sys.executable, "-m", "generated"]
    assert subprocess.run(command, cwd=tmp_path, timeout=60).returncode == ExitCode.INTERRUPTED


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(closed, tmp_path):
    words = [*NUDGE, *TRAIN, "--out", str(tmp_path / "run")]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "weights.safetensors").stat().st_size > 10_000
    if closed == "2>&-":
        assert done.stdout.startswith("test error ")


def test_a_full_standard_output_is_an_error_of_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(EVAL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines()[-1] == "nudge: [Errno 28] No space left on device"
    assert "Exception ignored" not in done.stderr


def test_what_can_not_be_encoded_is_escaped(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff\x1b[31m")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*NUDGE, "eval", folder / "\u20ac"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == ExitCode.WEIGHTS
    assert r"\udcff\x1b[31m/\u20ac: give a file" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_missing_package_is_named(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('no torch here')")
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    done = subprocess.run(
        EVAL, capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (ExitCode.TOOLS, "")
    assert done.stderr == "nudge: a package is missing or damaged: no torch here: make setup\n"


def test_codes_are_those_of_the_contract():
    assert (ending.TOOLS, ending.FAULT, ending.INTERRUPTED) == (
        ExitCode.TOOLS,
        ExitCode.FAULT,
        ExitCode.INTERRUPTED,
    )


@pytest.mark.parametrize("rank", [("x", "2"), ("0", ""), ("2", "2"), ("-1", "2"), ("0", "0")])
def test_an_environment_that_torchrun_did_not_make(rank):
    ranks = {"RANK": rank[0], "WORLD_SIZE": rank[1], "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    done = subprocess.run(EVAL, capture_output=True, text=True, timeout=60, env=os.environ | ranks)
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith("nudge: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE must be ")
    assert done.stderr.count("\n") == 1
