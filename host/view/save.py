"""Writes a report: the page of some runs, as a self-contained file."""

from collections.abc import Sequence
from pathlib import Path

from nudge.plumbing import files
from nudge.plumbing.errors import ViewError

from .folder import DRAWN, chosen, read
from .look import look
from .page import page


def save(runs: Sequence[Path], path: Path) -> Path:
    """Write the page of some runs' directories to a file, atomically, and return its path.

    The file contains data, script and plotting library, so it needs no server and no network. Raises
    `ViewError`, also if it can't be written, and the errors of `host.view.folder.read`.
    """
    folders = [read(run) for run in chosen(runs)]
    if not path.parent.is_dir():
        raise ViewError(f"--save {path}: no folder {path.parent}")
    text = page([(folder, look(folder, steps=number < DRAWN)) for number, folder in enumerate(folders)])
    try:
        files.write(path, text, alike=len("<!DOCTYPE html>"))
    except OSError as error:
        raise ViewError(f"--save {path}: {error.strerror}") from None
    return path
