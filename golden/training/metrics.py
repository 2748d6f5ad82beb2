"""Metrics of a training run as CSV: a row for each commit, and one for the end of each epoch.

`metrics.csv` grows while a run goes on, so that others can watch it: its last line may be incomplete, and a
reader skips that one.
"""

import csv
import hashlib
import io
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from nudge.golden.contract import values
from nudge.plumbing import files
from nudge.plumbing.errors import MetricsError

#: Samples over which the curve's error is averaged: 1/CURVE_PARTS of the run, at least CURVE_SAMPLES.
CURVE_PARTS, CURVE_SAMPLES = 30, 100

#: Largest size of a metrics file in bytes: a million commits.
MAX_BYTES = 1 << 26

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One commit."""

    #: Epoch, from 0.
    epoch: int
    #: Samples of the epoch trained so far.
    position: int
    #: Samples of this commit.
    samples: int
    #: Wrong predictions among the commit's samples.
    errors: int
    #: Training error of the epoch so far.
    error_percent: float
    #: Seconds of training, all sessions of a resumed run together.
    seconds: float


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch."""

    #: Epochs trained so far, from 1.
    epoch: int
    #: Samples trained so far, over all epochs.
    samples: int
    #: Error over the epoch's samples, each predicted before it was learnt.
    training_error_percent: float
    #: Error over the held-out images (`Plan.held_out`) after the epoch; None: there are none.
    held_out_error_percent: float | None
    #: Seconds of training, all sessions of a resumed run together.
    seconds: float


def _table(kind: type, rows: list[list[Any]], *, header: bool = True) -> str:
    """Return CSV with a header of the dataclass's field names."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if header:
        writer.writerow(f.name for f in fields(kind))
    writer.writerows(rows)
    return stream.getvalue()


def _cells(row: Row) -> list[Any]:
    *counts, percent, seconds = astuple(row)
    return [*counts, f"{percent:.4f}", f"{seconds:.3f}"]


def as_text(rows: list[Row]) -> str:
    """Return the rows as CSV with a header."""
    return _table(Row, list(map(_cells, rows)))


def digest(rows: list[Row]) -> str:
    """Return the SHA-256 of the rows as they are written."""
    return hashlib.sha256(as_text(rows).encode()).hexdigest()


def write_metrics(path: Path, rows: list[Row]) -> None:
    """Replace the metrics file by these rows, atomically."""
    files.write(path, as_text(rows), alike=len(as_text([])))


def append_metrics(path: Path, rows: list[Row]) -> None:
    """Append rows to the metrics file, for anyone who watches: a power cut may lose them."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(_table(Row, list(map(_cells, rows)), header=False))


def epochs_as_text(epochs: list[Epoch]) -> str:
    """Return the ends of epochs as CSV with a header; a missing error is left empty."""

    def cells(end: Epoch) -> list[Any]:
        held_out = end.held_out_error_percent
        kept = "" if held_out is None else f"{held_out:.4f}"
        return [end.epoch, end.samples, f"{end.training_error_percent:.4f}", kept, f"{end.seconds:.3f}"]

    return _table(Epoch, list(map(cells, epochs)))


def write_epochs(path: Path, epochs: list[Epoch]) -> None:
    """Replace the epochs' file, atomically."""
    files.write(path, epochs_as_text(epochs), alike=len(epochs_as_text([])))


def read_epochs(path: Path, epoch: int) -> list[Epoch]:
    """Return the ends of the first `epoch` epochs; [] if there is no file."""

    def entry(line: list[str]) -> Epoch:
        number, samples, training, held_out, seconds = line
        return Epoch(
            int(number), int(samples), float(training), float(held_out) if held_out else None, float(seconds)
        )

    return [end for end in _read(path, entry) if end.epoch <= epoch]


def read_metrics(path: Path, epoch: int, position: int, expected: str = "") -> list[Row]:
    """Return the rows up to a checkpoint at `position` of `epoch`; [] if there is no file.

    expected: the checkpoint's digest of these rows; "" in older checkpoints.
    """
    rows = _read(path, lambda line: Row(*map(int, line[:4]), *map(float, line[4:])))
    rows = [row for row in rows if (row.epoch, row.position) <= (epoch, position)]
    if any(row.samples < 1 for row in rows):
        raise _unreadable(f"{path} is damaged (a commit of no samples)")
    if expected and path.exists() and digest(rows) != expected:
        raise _unreadable(f"{path} is damaged (its rows aren't those of the checkpoint)")
    return rows


def _unreadable(why: str) -> MetricsError:
    return MetricsError(f"{why}: move it away to resume without it")


def _read(path: Path, entry: Callable[[list[str]], T]) -> list[T]:
    """Return `entry` of each complete line after the header; [] if there is no file."""
    if not path.exists():
        return []
    text = files.read_text(path, MAX_BYTES, _unreadable)
    try:
        whole = io.StringIO(text[: text.rfind("\n") + 1], newline="")
        return [_counted(entry(line)) for line in list(csv.reader(whole))[1:]]
    except (ValueError, TypeError, csv.Error) as error:
        raise _unreadable(f"{path} is damaged ({error})") from None


def _counted(entry: T) -> T:
    """Return a row; `ValueError` if one of its numbers is negative, too large or NaN."""
    for value in astuple(entry):  # type: ignore[call-overload]
        if value is not None and not 0 <= value <= values.MAX_WHOLE:
            raise ValueError(f"{reprlib.repr(value)} counts nothing")
    return entry


def sliding_error(rows: list[Row]) -> tuple[int, list[int], list[float]]:
    """Return the training error over the last samples after each commit.

    Result: the number of samples averaged over, samples trained after each commit, error in percent.
    """
    seen, errors = [0], [0]
    for row in rows:
        seen.append(seen[-1] + row.samples)
        errors.append(errors[-1] + row.errors)
    last = max(seen[-1] // CURVE_PARTS, CURVE_SAMPLES)
    percent, start = [], 0
    for i in range(1, len(seen)):
        while seen[i] - seen[start + 1] >= last:
            start += 1
        percent.append(100 * (errors[i] - errors[start]) / (seen[i] - seen[start]))
    return last, seen[1:], percent


def drawable(percent: Iterable[float], samples: int) -> list[float]:
    """Return errors in percent of `samples` samples for a logarithmic axis: 0 becomes half a sample."""
    return [error or 50 / samples for error in percent]
