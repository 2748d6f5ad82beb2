"""The table of a sweep: a row for each run, in `sweep.csv` of its folder.

Columns: `run`, `state`, each varied key, then those of `Figures` and `error`. A missing figure is empty.
"""

import csv
import io
from dataclasses import asdict, dataclass, fields
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from nudge.plumbing import files
from nudge.plumbing.errors import PlanError

#: The sweep's file as it was given, its table, and the folder of its runs.
COPY, TABLE, RUNS = "sweep.toml", "sweep.csv", "runs"

#: Largest size of a table in bytes.
MAX_BYTES = 1 << 24


class State(StrEnum):
    """How a run has ended."""

    #: Trained to its end.
    DONE = auto()
    #: Stopped by the search, since other trials were better.
    PRUNED = auto()
    #: Ended by an error; resuming the sweep tries it again.
    FAILED = auto()


@dataclass(frozen=True)
class Figures:
    """Result of a run."""

    #: Epochs trained.
    epochs: int | None = None
    #: Training error of the last epoch in percent, predicted before it is learned.
    training_percent: float | None = None
    #: Error of the held-out images after the last epoch in percent; None: the plan has none.
    held_out_percent: float | None = None
    #: Error of the test set in percent; None in a sweep with held-out images, which doesn't ask it.
    test_percent: float | None = None
    #: Seconds of training.
    seconds: float | None = None

    @property
    def percent(self) -> float | None:
        """The error by which runs are compared: held-out, else test."""
        return self.test_percent if self.held_out_percent is None else self.held_out_percent


@dataclass(frozen=True)
class Row:
    """A run that has ended."""

    #: Name of its folder in `RUNS`.
    run: str
    state: State
    #: Value of each varied key, as the sweep's file writes it.
    values: dict[str, Any]
    figures: Figures = Figures()
    #: Message of the error that ended it.
    error: str = ""


FIGURES = tuple(entry.name for entry in fields(Figures))


def write(path: Path, rows: list[Row]) -> None:
    """Write the table, atomically."""
    keys = dict.fromkeys(key for row in rows for key in row.values)
    text = io.StringIO()
    writer = csv.DictWriter(text, ["run", "state", *keys, *FIGURES, "error"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        figures = {name: "" if x is None else f"{x:.6g}" for name, x in asdict(row.figures).items()}
        writer.writerow({"run": row.run, "state": row.state} | row.values | figures | {"error": row.error})
    files.write(path, text.getvalue(), alike=len("run,state"))


def read(path: Path) -> list[Row]:
    """Return the rows of a table, [] if there is none; values are text. `PlanError` if no sweep wrote it."""
    if not path.exists():
        return []
    text = files.read_text(path, MAX_BYTES, PlanError)
    try:
        return [_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise PlanError(f"{path} is damaged ({error}): move it away, and --resume makes it again") from None


def _row(row: dict[str, str]) -> Row:
    figures = {name: float(row[name]) if row[name] else None for name in FIGURES}
    epochs = None if figures["epochs"] is None else int(figures["epochs"])
    values = {key: value for key, value in row.items() if key not in ("run", "state", *FIGURES, "error")}
    return Row(row["run"], State(row["state"]), values, Figures(**figures | {"epochs": epochs}), row["error"])  # type: ignore[arg-type]
