"""A report: the page of some runs, in a file of its own."""

from collections.abc import Sequence
from pathlib import Path

from plumbing import files
from plumbing.errors import ViewError

from .folder import DRAWN, chosen, read
from .look import look
from .page import page


def save(runs: Sequence[Path], path: Path) -> Path:
    """Write the page of some runs' directories to a file, atomically, and return its path.

    It needs no server and nothing from the network: data, script and plotting library are in it. Raises `ViewError`,
    `WeightsError` and `MetricsError` as `host.view.folder.read` does.
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
