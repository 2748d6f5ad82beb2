"""Odd worlds: a fork, another default device, few descriptors, small files, no home, names not in Unicode."""

import functools
import os
import pwd
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from nudge.golden.training.checkpoint import WEIGHTS
from nudge.plumbing import cache
from nudge.plumbing.errors import ExitCode

from .attack import Attack, anything, nothing
from .cell import Ended
from .scenarios import RESUME, TRAIN, half_done, same_bits, without

EVAL = ["eval", "tiny-mnist", "--samples", "2", "--json"]

#: For each command its arguments, preparation and check.
COMMANDS = {
    "train": (TRAIN, nothing, same_bits),
    "resume": (RESUME, half_done, same_bits),
    "eval": (EVAL, nothing, anything),
}

#: A name that is no Unicode: a byte of a path that isn't UTF-8, which JSON can express too.
ODD = "r\udcff"

TOO_LARGE = "".join(f"[[stage]]\ndense = {units}\n" for units in (16384, 16384, 10))


def worlds() -> Iterator[Attack]:
    """Yield all attacks of this file."""
    for name, (arguments, prepare, check) in COMMANDS.items():
        done = functools.partial(_done, check)
        one = functools.partial(Attack, "worlds", arguments=arguments, prepare=prepare, check=done)
        yield one(f"{name} in a child of a fork", before=_fork)
        yield one(f"{name} with torch's default device meta", before=_meta)
        yield one(f"{name} without a home", before=_no_home, environment={"HOME": None, "NUDGE_BUILD": None})
        for kind, limits in (("NOFILE", range(4, 24)), ("FSIZE", (1000, 4000, 8000, 16000, 40000))):
            for most in limits:
                limited = functools.partial(_limit, getattr(resource, f"RLIMIT_{kind}"), most)
                yield Attack(
                    "worlds", f"{name} with {kind} {most}", arguments, prepare, check, before=limited
                )
    yield from _names()
    for words in ("network show", "estimate ulx3s --network", "verilog ulx3s --out x.v --network"):
        command = [*words.split(), "large.toml"]
        yield Attack("worlds", f"{words} of 281 million weights", command, _large, _refused, before=_memory)


def _names() -> Iterator[Attack]:
    """Yield attacks: texts that are no Unicode, as each kind of path and in each text file of a run."""
    one = functools.partial(Attack, "worlds", prepare=_odd_run)
    done = functools.partial(_done, anything)
    yield one("view of an odd name", ["view", ODD, "--save", "x.html"], check=done)
    yield one("view to an odd name", ["view", "run", "--save", f"{ODD}.html"], check=done)
    yield one("eval of an odd name", ["eval", ODD, "--samples", "2", "--json"], check=done)
    for option in ("--out", "--data", "--data-dir", "--network", "--tensorboard", "--preset", "--board"):
        yield one(f"train {option}", [*without(TRAIN, option), "--force", option, ODD], check=same_bits)
    for file in ("board.json", "metrics.csv", "epochs.csv"):
        for text in ('{"board": "\\ud800", "registers": {"\\ud800": 1}, "link": {}}', "epoch\n\udcff\n"):
            write = functools.partial(_write, f"run/{file}", text)
            yield Attack(
                "worlds", f"view {file} of {text[:12]!r}", ["view", "run", "--save", "x.html"], write
            )


def _done(check: Callable[[Path, Ended], list[str]], folder: Path, ended: Ended) -> list[str]:
    """Return an error unless the command succeeded, else those of `check`."""
    return check(folder, ended) if ended.code in (ExitCode.OK, None) else [f"exit code {ended.code}"]


def _refused(folder: Path, ended: Ended) -> list[str]:
    return (
        []
        if ended.code == ExitCode.USAGE and "weights and biases" in ended.err
        else ["it isn't refused by its size"]
    )


def _fork() -> None:
    """Continue in a forked child, after torch's threads have worked."""
    torch.set_num_threads(4)
    torch.ones(1 << 20, device="cpu").exp()
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _meta() -> None:
    torch.set_default_device("meta")


def _no_home() -> None:
    """Simulate a user without an entry in /etc/passwd, and an installed package."""
    cache.ROOT = Path("/proc/nowhere")
    pwd.getpwuid = {}.__getitem__  # type: ignore[assignment]


def _limit(kind: int, most: int) -> None:
    resource.setrlimit(kind, (most, most))


def _memory() -> None:
    """Limit the address space to 6 GiB."""
    _limit(resource.RLIMIT_AS, 6 << 30)


def _large(folder: Path) -> None:
    (folder / "large.toml").write_text(f'name = "large"\n{TOO_LARGE}')


def _odd_run(folder: Path) -> None:
    half_done(folder)
    shutil.copytree(folder / "run", folder / ODD)


def _write(name: str, text: str, folder: Path) -> None:
    half_done(folder)
    assert (folder / "run" / WEIGHTS).exists()
    (folder / name).write_text(text, errors="surrogateescape")
