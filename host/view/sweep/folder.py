"""Reads a sweep's folder in its present state: finished, interrupted, or being written by `nudge sweep`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nudge.golden.training import metrics
from nudge.golden.training.folder import EPOCHS, METRICS
from nudge.golden.training.metrics import Epoch
from nudge.host.sweep import sweep_file, table
from nudge.host.sweep.table import COPY, RUNS, TABLE, Figures, Row, State
from nudge.host.view.content import evenly
from nudge.host.view.folder import ALL, fingerprint, state
from nudge.plumbing.errors import NudgeError

#: State of a run without a row. A sweep that was interrupted leaves such runs too.
IN_PROGRESS = "in progress"

#: Most runs with a curve: those with the smallest errors, and those in progress.
CURVES = 400

#: Most points of a training error's curve.
POINTS = 100

#: Number of runs that are highlighted.
BEST = 3

#: Letters of a number that is shown as it is, and digits of a longer one.
LETTERS, DIGITS = 7, 4

T = TypeVar("T")

#: Points of a curve: training samples, error in percent.
Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Trial:
    """A run of a sweep."""

    name: str
    #: Its row of the table; None: it has none yet.
    row: Row | None
    #: Figures so far of a run in progress, else those of the row.
    figures: Figures
    #: Held-out error after each epoch or, in a sweep without held-out images, training error.
    curve: Curve = ()
    #: Why its folder can't be read; "" if it can.
    problem: str = ""

    @property
    def state(self) -> str:
        """Its state in words."""
        return IN_PROGRESS if self.row is None else self.row.state

    @property
    def values(self) -> dict[str, str]:
        """Value of each varied key; {} for a run in progress."""
        return {} if self.row is None else {key: value for key, value in self.row.values.items() if value}

    @property
    def setting(self) -> str:
        """Its values in words."""
        return setting(self.values)

    @property
    def message(self) -> str:
        """The error that ended it, or why its folder can't be read."""
        return (self.row.error if self.row is not None else "") or self.problem


@dataclass(frozen=True)
class Sweep:
    """Contents of a sweep's folder."""

    name: str
    #: Runs in the order of the table, then those in progress, by name.
    trials: list[Trial]
    #: Whether curves are of held-out images.
    held_out: bool
    #: Number of runs that the sweep's file asks for; None if it can't be read.
    total: int | None

    @property
    def keys(self) -> list[str]:
        """The varied keys."""
        return list(dict.fromkeys(key for trial in self.trials if trial.row for key in trial.row.values))

    @property
    def ended(self) -> int:
        """Number of runs that have a row."""
        return sum(trial.row is not None for trial in self.trials)

    @property
    def ranked(self) -> list[Trial]:
        """Runs that were trained to their end, the smallest error first."""
        done = [trial for trial in self.trials if trial.state == State.DONE]
        known = [
            (trial.figures.percent, n) for n, trial in enumerate(done) if trial.figures.percent is not None
        ]
        return [done[n] for _, n in sorted(known)]

    @property
    def measured(self) -> str:
        """The error by which runs are compared, with its unit, in words."""
        held_out = any(trial.figures.held_out_percent is not None for trial in self.trials)
        return "held-out error (%)" if held_out or self.held_out else "test error (%)"


def setting(values: dict[str, str]) -> str:
    """Return values by key in words."""
    return ", ".join(f"{key} {short(value)}" for key, value in values.items())


def short(value: str) -> str:
    """Return a value of the table, a long number rounded to `DIGITS` significant digits."""
    if len(value) <= LETTERS:
        return value
    try:
        return f"{float(value):.{DIGITS}g}"
    except ValueError:
        return value


def is_sweep(path: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return any((path / name).is_file() for name in (TABLE, COPY))


class Reader:
    """Reads a sweep's folder again and again; a run's files only after they change."""

    def __init__(self, path: Path):
        self.path = path
        self._kept: dict[Path, tuple[str, object]] = {}
        #: Files of a run that the last call of `read` needed; () before the first.
        self._needed: tuple[str, ...] = ()

    def version(self) -> str:
        """Return a hash of the state of all files that are read."""
        if not self._needed:
            self.read()
        own = [self.path / TABLE, self.path / COPY]
        others = [self.path / RUNS / run / name for run in sorted(self._runs()) for name in self._needed]
        return fingerprint([(str(file), state(file)) for file in own + others])

    def read(self) -> Sweep:
        """Read the sweep; `PlanError` for a damaged table.

        A run with damaged files has a `Trial.problem`, and the others are read.
        """
        rows = {row.run: row for row in table.read(self.path / TABLE)}
        growing = sorted(self._runs() - set(rows))
        epochs = {name: self._epochs(name) for name in [*rows, *growing]}
        ends = [end for found, _ in epochs.values() for end in found]
        held_out = any(end.held_out_error_percent is not None for end in ends)
        self._needed = (EPOCHS,) if held_out else (EPOCHS, METRICS)
        ranked = sorted(rows.values(), key=lambda row: _rank(row.figures))
        drawn = {*growing[:CURVES], *(row.run for row in ranked[: max(0, CURVES - len(growing))])}
        trials = []
        for name, (found, problem) in epochs.items():
            row = rows.get(name)
            curve: Curve = [
                (end.samples, percent) for end in found if (percent := end.held_out_error_percent) is not None
            ]
            if name not in drawn:
                curve = ()
            elif not held_out:
                curve, why = self._training(name)
                problem = problem or why
            trials.append(Trial(name, row, row.figures if row else _so_far(found), curve, problem))
        total, _ = self._read(self.path / COPY, _asked, None)
        return Sweep(self.path.resolve().name, trials, held_out, total)

    def _runs(self) -> set[str]:
        """Return the names of the runs' folders."""
        folder = self.path / RUNS
        return {inside.name for inside in folder.iterdir() if inside.is_dir()} if folder.is_dir() else set()

    def _epochs(self, name: str) -> tuple[list[Epoch], str]:
        return self._read(self.path / RUNS / name / EPOCHS, lambda path: metrics.read_epochs(path, ALL), [])

    def _training(self, name: str) -> tuple[Curve, str]:
        return self._read(self.path / RUNS / name / METRICS, _training, ())

    def _read(self, path: Path, load: Callable[[Path], T], none: T) -> tuple[T, str]:
        """Return what `load` returns and "", or `none` and why it can't be read."""
        now = state(path)
        if path not in self._kept or self._kept[path][0] != now:
            try:
                self._kept[path] = now, (load(path), "")
            except NudgeError as error:
                self._kept[path] = now, (none, str(error))
        return self._kept[path][1]  # type: ignore[return-value]


def _rank(figures: Figures) -> tuple[bool, float]:
    return figures.percent is None, figures.percent or 0.0


def _so_far(epochs: list[Epoch]) -> Figures:
    """Return the figures of a run in progress."""
    if not epochs:
        return Figures()
    end = epochs[-1]
    return Figures(end.epoch, end.training_error_percent, end.held_out_error_percent, seconds=end.seconds)


def _asked(path: Path) -> int:
    """Return the number of runs that a sweep's file asks for."""
    file = sweep_file.read(path)
    return sum(1 for _ in file.grid()) if file.search is None else file.search.trials


def _training(path: Path) -> Curve:
    """Return the training error over the last samples, as `POINTS` points at most."""
    _, samples, percent = metrics.sliding_error(metrics.read_metrics(path, ALL, ALL))
    return [(samples[i], percent[i]) for i in evenly(len(samples), POINTS)]
