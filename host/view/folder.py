"""Reads a run's directory in its present state: finished, interrupted, or being written by `nudge train`."""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nudge.golden.contract import values
from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Parameters
from nudge.golden.training import checkpoint, metrics
from nudge.golden.training.checkpoint import Checkpoint
from nudge.golden.training.folder import COUNTERS, EPOCHS, METRICS, MOST_OF_COUNTERS
from nudge.golden.training.metrics import Epoch, Row
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import plan_of
from nudge.golden.training.sets.class_names import called
from nudge.plumbing import files
from nudge.plumbing.errors import ViewError

#: Limit that reads all rows: the metrics of a run in progress are ahead of its checkpoint.
ALL = sys.maxsize

#: Most runs on a page, and most runs with curves and sections: more curves can't be told apart.
MOST_RUNS, DRAWN = 64, 8


@dataclass(frozen=True)
class Folder:
    """Contents of a run's directory."""

    path: Path
    spec: Spec
    #: Plan of all epochs.
    plan: Plan
    #: Masters as of the last checkpoint.
    parameters: Parameters
    #: Registers and position of the run at the last checkpoint.
    found: Checkpoint
    #: A row for each commit, also those after the checkpoint.
    rows: list[Row]
    epochs: list[Epoch]
    #: The board's name, registers and link counters at the last checkpoint; {} if there are none.
    counters: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.path.resolve().name

    @property
    def class_names(self) -> list[str]:
        """Name of each class in the weight file, or its number."""
        return list(called(self.found.names, self.spec.classes))

    @property
    def total(self) -> int:
        """Number of samples that the plan trains, over all epochs."""
        return self.plan.epochs * self.plan.samples

    @property
    def saved(self) -> int:
        """Number of samples trained at the last checkpoint."""
        return self.found.epoch * self.plan.samples + self.found.position

    @property
    def done(self) -> int:
        """Number of samples trained so far, by the metrics or the checkpoint, whichever is larger."""
        row = self.rows[-1] if self.rows else None
        return self.saved if row is None else max(self.saved, row.epoch * self.plan.samples + row.position)

    @property
    def rate(self) -> float:
        """Samples a second, the mean over all that are done; 0 if there are none."""
        seconds = self.rows[-1].seconds if self.rows else self.found.seconds
        return self.done / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at that rate; None if it isn't known yet."""
        return (self.total - self.done) / self.rate if self.rate else None


def state(path: Path) -> str:
    """Return text that changes when a file does: inode, size and time of change; "" without the file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def fingerprint(plain: Any) -> str:
    """Return a short hash of plain data."""
    return hashlib.sha256(repr(plain).encode(errors="backslashreplace")).hexdigest()[:16]


def chosen(paths: Sequence[Path]) -> list[Path]:
    """Return the directories of the runs; for a folder of runs, those in it, ordered by name.

    Raises `ViewError` for none, or for more than `MOST_RUNS`.
    """
    found = [run for path in paths for run in _inside(path)]
    if not 1 <= len(found) <= MOST_RUNS:
        raise ViewError(f"a page shows 1..{MOST_RUNS} runs, not {len(found)}")
    return found


def _inside(path: Path) -> list[Path]:
    """Return the path if it is a run, else the runs in it; without any, the path, which `read` refuses."""
    if path.is_dir() and not (path / checkpoint.WEIGHTS).exists():
        return sorted(inside.parent for inside in path.glob(f"*/{checkpoint.WEIGHTS}")) or [path]
    return [path]


def read(path: Path) -> Folder:
    """Read the run in a directory.

    Raises `ViewError` without a run or with damaged counters, `WeightsError` and `MetricsError` for a run
    that is damaged or of another version. A run can be read while it is trained: weights, counters and epochs
    are replaced atomically, and a last line that is half written is left out.
    """
    if not path.is_dir():
        raise ViewError(f"no run at {path}: give the --out of a `nudge train`, or a folder of them")
    if not (path / checkpoint.WEIGHTS).exists():
        raise ViewError(f"no run at {path}: it has no {checkpoint.WEIGHTS} (yet)")
    spec, parameters, found = checkpoint.load(path / checkpoint.WEIGHTS)
    plan = plan_of(path / checkpoint.WEIGHTS, spec, found)
    rows = metrics.read_metrics(path / METRICS, ALL, ALL)
    epochs = metrics.read_epochs(path / EPOCHS, ALL)
    return Folder(path, spec, plan, parameters, found, rows, epochs, _counters(path / COUNTERS))


def _counters(path: Path) -> dict[str, Any]:
    """Read the file of counters; {} without one."""

    def unreadable(why: str) -> ViewError:
        return ViewError(f"{why}: move it away to look at the run without it")

    if not path.exists():
        return {}
    found = files.read_json(path, MOST_OF_COUNTERS, unreadable)
    tables = [found.get(name) for name in ("registers", "link")]
    if not all(isinstance(table, dict) and all(map(_counts, table.values())) for table in tables):
        raise unreadable(f"{path} is damaged (registers and link must be numbers by name)")
    return found


def _counts(value: Any) -> bool:
    """Return True if decoded JSON is a valid value of a register or a counter."""
    return type(value) is int and 0 <= value <= values.MAX_WHOLE
