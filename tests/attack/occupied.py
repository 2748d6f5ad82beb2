"""The path of an output is taken by something else: the command must fail and change nothing."""

import functools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nudge.plumbing.errors import ExitCode

from .attack import Attack
from .cell import Ended
from .damaged_files import whole_run
from .scenarios import TRAIN

VIEW, VERILOG, AGAIN = (
    ["view", "run", "--save"],
    ["verilog", "ulx3s", "--preset", "tiny", "--out"],
    [*TRAIN, "--force"],
)

#: The files of a run that each training writes anew.
WRITTEN = ("weights.safetensors", "metrics.csv", "epochs.csv", "epoch-2.safetensors")


def occupied() -> Iterator[Attack]:
    """Yield attacks: each command with each path that is taken."""
    for name in (
        "text",
        "pipe",
        "loop",
        "folder",
        *(f"run/{name}" for name in (*WRITTEN, "learning-curve.png", "board.json")),
    ):
        yield Attack("occupied", f"view: {name}", [*VIEW, name], furnish, stays)
    for name in ("text.v", "pipe.v", "loop.v", "package.v", "run/board.v"):
        yield Attack("occupied", f"verilog: {name}", [*VERILOG, name], furnish, stays)
    for name in WRITTEN:
        yield Attack("occupied", f"train: {name}", AGAIN, functools.partial(furnish, linked=name), stays)


def furnish(folder: Path, linked: str | None = None) -> None:
    """Make a run, texts, pipes, loops and a folder. linked: file of the run that becomes a link to a text."""
    whole_run(folder)
    for name in ("text", "text.v", "package.json"):
        (folder / name).write_text("mine")
    for name in ("pipe", "pipe.v"):
        os.mkfifo(folder / name)
    for name in ("loop", "loop.v"):
        (folder / name).symlink_to(name)
    (folder / "folder").mkdir()
    if linked is not None:
        (folder / "run" / linked).unlink()
        (folder / "run" / linked).symlink_to("../text")
    (folder.parent / "stood").write_text(standing(folder))


def standing(folder: Path) -> str:
    """Return each path with its inode, type and, for a regular file, time of modification."""
    found = [(str(path), path.lstat()) for path in sorted(folder.rglob("*"))]
    return repr(
        [
            (name, at.st_ino, stat.S_IFMT(at.st_mode), at.st_mtime_ns * stat.S_ISREG(at.st_mode))
            for name, at in found
        ]
    )


def stays(folder: Path, ended: Ended) -> list[str]:
    """Return errors if the command succeeded, or wrote anything."""
    wrong = ["it was done"] if ended.code == ExitCode.OK else []
    return wrong + (
        []
        if (folder.parent / "stood").read_text() == standing(folder)
        else ["something was replaced or left"]
    )
