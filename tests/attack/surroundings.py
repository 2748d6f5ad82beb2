"""Odd environment variables, folders owned by another process, signals at any moment."""

import functools
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from nudge.plumbing import files
from nudge.plumbing.errors import ExitCode, UsageError

from .attack import Attack
from .cell import Ended
from .scenarios import RESUME, TRAIN, bits, half_done, reference, same_bits, small_study, train_mend

VARIABLES = [
    "NUDGE_BUILD",
    "NUDGE_DATA",
    "CXX",
    "TMPDIR",
    "HOME",
    "PATH",
    "RANK",
    "COLUMNS",
    "TERM",
    "MPLBACKEND",
    "NO_COLOR",
]


def environments() -> Iterator[Attack]:
    """Yield attacks: environment variables with odd values."""
    ranks = {"WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    for variable in VARIABLES:
        for value in [
            "",
            "x",
            "/proc/nowhere",
            "/dev/null",
            "a\nb",
            "-1",
            "9" * 40,
            "\x1b[2J",
            "\udcff",
            "a" * 5000,
        ]:
            given = {variable: value, **(ranks if variable == "RANK" else {})}
            yield Attack(
                "environment", f"train {variable}={value[:9]!r}", TRAIN, check=same_bits, environment=given
            )
            arguments = ["eval", "tiny-mnist", "--samples", "2", "--json"]
            yield Attack("environment", f"eval {variable}={value[:9]!r}", arguments, environment=given)


def owners() -> Iterator[Attack]:
    """Yield attacks: another process holds the lock of the folder."""
    for name, lock, arguments, before in (
        ("train", "run/.lock", [*TRAIN, "--force"], lambda: None),
        ("resume", "run/.lock", RESUME, lambda: None),
        ("repro", "results/.count-quick.lock", ["repro", "count", "--out", "results"], small_study),
    ):
        for _ in range(2):
            yield Attack("owners", name, arguments, functools.partial(_locked, lock), _refused, before=before)


def _locked(lock: str, folder: Path) -> None:
    """Fork a child that holds the lock for longer than the command takes."""
    half_done(folder)
    (folder / lock).parent.mkdir(exist_ok=True)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        return
    with files.owned(folder / lock, UsageError):
        os.write(writer, b"x")
        while folder.exists() and not (folder / "done").exists():
            time.sleep(0.02)
    os._exit(0)


def _refused(folder: Path, ended: Ended) -> list[str]:
    (folder / "done").touch()
    os.wait()
    wrong = (
        []
        if ended.code == ExitCode.USAGE and "is in use by process" in ended.err
        else ["another owner wasn't seen"]
    )
    return wrong + ([] if bits(folder / "run") == reference()[1] else ["the other's weights were changed"])


def signals(seed: int, count: int) -> Iterator[Attack]:
    """Yield attacks: a signal at a random moment of a training. Continuing must end with the same bits.

    In each third attack a second signal comes soon after.
    """
    chooser = random.Random(seed)
    for number in range(count):
        what = chooser.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
        times = (chooser.uniform(0, 0.25), chooser.uniform(0, 0.05) if number % 3 == 0 else None)
        arguments, prepare = (TRAIN, lambda folder: None) if number % 2 else (RESUME, half_done)
        check = functools.partial(_interrupted, what == signal.SIGKILL)
        before = functools.partial(_signalled, what, times)
        yield Attack(
            "signals",
            f"{what.name} after {times[0]:.3f} s of {arguments[3]}",
            arguments,
            prepare,
            check,
            before=before,
        )


def ignored(seed: int, count: int) -> Iterator[Attack]:
    """Yield attacks: signals that the training was started to ignore, as by nohup or in the background."""
    chooser = random.Random(seed)
    for _ in range(count):
        what = chooser.choice([signal.SIGINT, signal.SIGHUP])
        times = (chooser.uniform(0, 0.25), chooser.uniform(0, 0.05))
        before = functools.partial(_ignoring, what, times)
        yield Attack(
            "ignored", f"{what.name} after {times[0]:.3f} s", TRAIN, check=_undisturbed, before=before
        )


def _ignoring(number: signal.Signals, times: tuple[float, float]) -> None:
    signal.signal(number, signal.SIG_IGN)
    _signalled(number, times)


def _undisturbed(folder: Path, ended: Ended) -> list[str]:
    return same_bits(folder, ended) if ended.code == ExitCode.OK else [f"exit code {ended.code}"]


def _signalled(number: signal.Signals, times: tuple[float, float | None]) -> None:
    """Send signals to this process later, from a child, since this process's own threads may be busy."""
    victim = os.getpid()
    if os.fork():
        return
    time.sleep(times[0])
    for later in (0.0, times[1]):
        if later is not None and os.getppid() == victim:
            time.sleep(later)
            os.kill(victim, number)
    os._exit(0)


def _interrupted(killed: bool, folder: Path, ended: Ended) -> list[str]:
    wrong = []
    if killed and ended.code == -signal.SIGKILL:
        ended.code = ExitCode.INTERRUPTED
        ended.err = "nudge: killed"
    if ended.code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        wrong.append(f"exit code {ended.code}")
    return wrong + train_mend(folder)
