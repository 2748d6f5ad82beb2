"""Sweeps of `nudge` by workers that join a scheduler: killed, restarted, interrupted, with a full disk."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from nudge.host.sweep import table
from nudge.host.sweep.table import RUNS, TABLE, State
from nudge.plumbing.errors import ExitCode

from .test_sweep import weights

#: Seconds that a process has to start or to end; and a whole sweep.
SECONDS, SWEEP_SECONDS = 60, 300

GRID = """
[train]
preset = "tiny"
samples = 500
held-out = 100
epochs = {epochs}
[vary]
learning.gain = [0.7, 1.0]
seed = [1, 2, 3]
"""


def started(*words: str, **given: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **given,
    )


@contextmanager
def process(*words: str, **given: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end, with all that it started."""
    found = started(*words, **given)
    try:
        yield found
    finally:
        end(found)


def end(found: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(found.pid, signal.SIGKILL)
    found.communicate(timeout=SECONDS)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def scheduler(port: int) -> tuple[str, ...]:
    return (
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
    )


def worker(port: int) -> tuple[str, ...]:
    return (
        "-m",
        "distributed.cli.dask_worker",
        f"tcp://127.0.0.1:{port}",
        "--nthreads",
        "1",
        "--no-dashboard",
    )


def sweep(*words: str) -> tuple[str, ...]:
    return ("-m", "nudge", "sweep", *words)


def output(found: subprocess.Popen[str], code: int) -> str:
    text, _ = found.communicate(timeout=SWEEP_SECONDS)
    assert found.returncode == code, text
    return text


def wait_for_rows(path: Path, count: int) -> None:
    deadline = time.monotonic() + SWEEP_SECONDS
    while len(table.read(path)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_weights(folder: Path) -> dict[str, Any]:
    rows = table.read(folder / TABLE)
    assert {row.state for row in rows} == {State.DONE}
    return {row.run: weights(folder / RUNS / row.run) for row in rows}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "grid.toml"
    path.write_text(GRID.format(epochs=6))
    return path


@pytest.fixture(scope="module")
def expected(file, tmp_path_factory) -> dict[str, Any]:
    """The weights of all runs, by one local worker."""
    out = tmp_path_factory.mktemp("expected") / "sweep"
    output(started(*sweep(str(file), "--out", str(out), "--workers", "1")), ExitCode.OK)
    found = all_weights(out)
    assert len(found) == 6
    return found


def test_two_workers_of_a_scheduler_one_of_them_killed(tmp_path, file, expected):
    port = free_port()
    with process(*scheduler(port)), process(*worker(port)), process(*worker(port)) as killed:
        running = started(
            *sweep(str(file), "--out", str(tmp_path / "s"), "--scheduler", f"tcp://127.0.0.1:{port}")
        )
        wait_for_rows(tmp_path / "s" / TABLE, 1)
        end(killed)
        output(running, ExitCode.OK)
    assert all_weights(tmp_path / "s") == expected


def test_a_scheduler_that_is_started_again(tmp_path, file, expected):
    port = free_port()
    with process(*scheduler(port)) as first, process(*worker(port)):
        running = started(
            *sweep(str(file), "--out", str(tmp_path / "s"), "--scheduler", f"tcp://127.0.0.1:{port}")
        )
        wait_for_rows(tmp_path / "s" / TABLE, 2)
        end(first)
    with process(*scheduler(port)), process(*worker(port)):
        text = output(running, ExitCode.OK)
    assert f"tcp://127.0.0.1:{port} is lost: waiting for it" in text
    assert "Traceback" not in text
    assert all_weights(tmp_path / "s") == expected


def test_ctrl_c_twice_then_resumed(tmp_path, file, expected):
    out = tmp_path / "s"
    for words, rows in (((str(file), "--out", str(out)), 1), ((str(out), "--resume"), 3)):
        running = started(*sweep(*words, "--workers", "2"))
        wait_for_rows(out / TABLE, rows)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
        text = output(running, ExitCode.INTERRUPTED)
        assert text.rstrip().endswith("nudge: interrupted"), text
        assert "Traceback" not in text
    output(started(*sweep(str(out), "--resume", "--workers", "2")), ExitCode.OK)
    assert all_weights(out) == expected


def test_a_full_disk_fails_runs_that_resuming_makes_again(tmp_path, file, expected):
    """The worker can't write files beyond 4 KiB, as on a disk that fills."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    port, out = free_port(), tmp_path / "s"
    with process(*scheduler(port)), process(*worker(port), preexec_fn=limit):
        text = output(
            started(*sweep(str(file), "--out", str(out), "--scheduler", f"tcp://127.0.0.1:{port}")),
            ExitCode.USAGE,
        )
    assert "6 of 6 runs failed" in text
    assert "File too large" in text
    output(started(*sweep(str(out), "--resume", "--workers", "2")), ExitCode.OK)
    assert all_weights(out) == expected
