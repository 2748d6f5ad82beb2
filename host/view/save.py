"""Writes a report: the page of some runs or of a sweep, as a self-contained file."""

from collections.abc import Sequence
from pathlib import Path

from nudge.plumbing import files
from nudge.plumbing.errors import ViewError

from .watch import shown


def save(runs: Sequence[Path], path: Path) -> Path:
    """Write the page of some runs' directories, or of a sweep's, to a file, atomically, and return its path.

    The file contains data, script and plotting library, so it needs no server and no network. Raises
    `ViewError`, also if it can't be written, and the errors of `host.view.watch.Shown`.
    """
    if not path.parent.is_dir():
        raise ViewError(f"--save {path}: no folder {path.parent}")
    text = shown(runs).html()
    try:
        files.write(path, text, alike=len("<!DOCTYPE html>"))
    except OSError as error:
        raise ViewError(f"--save {path}: {error.strerror}") from None
    return path
