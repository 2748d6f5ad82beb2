"""Carries out a sweep: gives its runs to workers, and keeps the table of those that have ended."""

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

from nudge.golden.contract import network_file
from nudge.golden.contract.presets import chosen
from nudge.golden.contract.shapes import Input
from nudge.golden.contract.values import plain
from nudge.golden.training import data as datasets
from nudge.golden.training.data import Source
from nudge.plumbing import files
from nudge.plumbing.cluster import Cluster, Job, opened
from nudge.plumbing.errors import ClusterError, NudgeError, PlanError

from . import job, sweep_file, table
from .job import Task, Trial
from .search import Tree
from .sweep_file import Asked, SweepFile
from .table import COPY, RUNS, TABLE, Figures, Row, State


class Display:
    """Shows a sweep's progress; this one shows nothing."""

    def begin(self, folder: Path, total: int, rows: list[Row], dashboard: str) -> None:
        """Begin with the rows of earlier calls. folder: of the sweep. dashboard: address of Dask's page."""

    def told(self, name: str, said: dict[str, Any]) -> None:
        """Show progress of a run: `done` and `total` samples, and `percent`, its training error."""

    def ended(self, row: Row) -> None:
        """Show that a run has ended."""


def sweep(
    file: str | Path | dict[str, Any],
    out: str | Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    display: Display = Display(),  # noqa: B008 (it has no state)
) -> list[Row]:
    """Train all runs of a sweep, as `nudge sweep`; return a row for each, in the order of the grid or the
    search.

    file: a sweep's file (docs/sweeps.md), its content as a dictionary, or with `resume` the sweep's folder.
    out: folder of table and runs; None: runs/NAME of the file. workers, scheduler: as for
    `plumbing.cluster.opened`; a script that calls this needs `if __name__ == "__main__":`, since local
    workers import it. Raises the errors of `Sweep.carry_out`.
    """
    if isinstance(file, dict):
        if out is None:
            raise PlanError("a sweep from a dictionary needs out, its folder")
        asked, place = sweep_file.of(file), Path(out)
    else:
        path = Path(file)
        folder = os.path.isdir(path)  # noqa: PTH112 (False for a name that is too long)
        asked = sweep_file.read(path / COPY if folder else path)
        place = Path(out) if out is not None else path if folder else Path("runs") / path.stem
    wanted = Sweep(asked, place, resume=resume)
    with opened(workers, scheduler) as cluster:
        return wanted.carry_out(cluster, display)


class Sweep:
    """A sweep in its folder.

    resume: whether a sweep that the folder has already is continued; otherwise it raises `PlanError`. Runs
    that ended by an error are tried again. Errors of a grid's options and networks pass through.
    """

    def __init__(self, file: SweepFile, out: Path, *, resume: bool = False):
        self.file, self.out = file, plain(Path, out, "--out", PlanError).absolute()
        self.rows: dict[str, Row] = {}
        self._runs = [] if file.search else [file.run(values) for values in file.grid()]
        if not resume and any(os.path.exists(out / name) for name in (COPY, TABLE)):  # noqa: PTH110
            raise PlanError(f"{out} has a sweep already: --resume continues it, or choose another --out")

    def carry_out(self, cluster: Cluster, display: Display) -> list[Row]:
        """Train all runs that haven't ended; return the rows of all.

        The table is written after each run. Raises `PlanError` if the folder can't be written or is in use,
        and `ClusterError` without workers; a run's own error becomes its row.
        """
        # what can't be carried out leaves no folder: runs that are the same, missing data, another storage
        tasks, search = self._tasks(), self.file.search
        tree = Tree(self.file, self.out) if search is not None and search.storage else None
        try:
            (self.out / RUNS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlanError(f"--out {self.out}: {error.strerror}") from None
        with files.owned(self.out / files.LOCK, PlanError):
            self.rows = {
                row.run: row for row in table.read(self.out / TABLE) if row.state is not State.FAILED
            }
            if self.file.search is None:
                self._grid(tasks, cluster, display)
            else:
                self._search(tree or Tree(self.file, self.out), cluster, display)
            return list(self.rows.values())

    def _tasks(self) -> dict[str, tuple[Task, Asked]]:
        """Return a grid's runs by name; `PlanError` if two are the same."""
        tasks = {task.out.name: (task, asked) for asked in self._runs for task in [self._task(asked)]}
        if (same := len(self._runs) - len(tasks)) > 0:
            raise PlanError(f"{same} of {len(self._runs)} combinations are the same run as another one")
        return tasks

    def _grid(self, tasks: dict[str, tuple[Task, Asked]], cluster: Cluster, display: Display) -> None:
        rows, self.rows = self.rows, {}
        self.rows = {name: rows[name] for name in tasks if name in rows}
        self._begin(display, cluster, len(tasks))
        missing = [
            Job(name, job.carry_out, (task,)) for name, (task, _) in tasks.items() if name not in self.rows
        ]
        order = list(tasks)
        with closing(cluster.results(iter(missing), display.told)) as results:
            for done, result in results:
                self._end(display, row_of(done.name, tasks[done.name][1].values, result), order.index)

    def _search(self, tree: Tree, cluster: Cluster, display: Display) -> None:
        assert self.file.search is not None
        self._begin(display, cluster, self.file.search.trials)
        numbers: dict[str, int] = {}
        drawn: dict[str, dict[str, Any]] = {}

        def end(name: str, result: Any) -> None:
            row = row_of(name, drawn[name], result)
            tree.ended(numbers[name], row.state, row.figures.percent)
            self._end(display, row, lambda each: int(each.rpartition("-")[2]))

        def jobs() -> Iterator[Job]:
            for number, trial, values in tree.trials():
                name = f"trial-{number}"
                numbers[name], drawn[name] = number, values
                at = Trial(tree.storage, tree.name, trial, tree.prunes)
                try:
                    yield Job(name, job.carry_out, (self._task(self.file.run(values), name, at),))
                except NudgeError as error:  # such as a kernel that is larger than its map
                    end(name, error)

        with closing(cluster.results(jobs(), display.told)) as results:
            for done, result in results:
                end(done.name, result)

    def _begin(self, display: Display, cluster: Cluster, total: int) -> None:
        files.write(self.out / COPY, self.file.text)
        display.begin(self.out, total, list(self.rows.values()), cluster.dashboard)

    def _end(self, display: Display, row: Row, order: Callable[[str], int]) -> None:
        self.rows[row.run] = row
        self.rows = {name: self.rows[name] for name in sorted(self.rows, key=order)}
        table.write(self.out / TABLE, list(self.rows.values()))
        display.ended(row)

    def _task(self, asked: Asked, name: str | None = None, trial: Trial | None = None) -> Task:
        """Return a run for a worker. name: of its folder; None: its fingerprint."""
        options = asked.options
        if asked.network is None:
            spec = chosen(options.preset, options.network)
        else:
            spec = network_file.network(tomllib.loads(asked.network), "sweep")
        source, images = _data(options.data_name, options.data_dir, spec.input)
        found = job.fingerprint(spec, options.plan(spec, source, images))
        return Task(self.out / RUNS / (name or found), options, asked.network, asked.board, found, trial)


def row_of(name: str, values: dict[str, Any], result: Any) -> Row:
    """Return a run's row from its result or the exception that ended it, but raise a `ClusterError`."""
    if isinstance(result, ClusterError):
        raise result
    if isinstance(result, BaseException):
        kind = "" if isinstance(result, NudgeError | OSError) else f"{type(result).__name__}: "
        return Row(name, State.FAILED, values, error=" ".join(f"{kind}{result}".split()))
    state, figures = result
    assert isinstance(figures, Figures)
    return Row(name, state, values, figures)


@lru_cache(maxsize=4)
def _data(name: str, folder: Path | None, shown: Input) -> tuple[Source, int]:
    """Return the data's source with its digest, and the number of training images."""
    source = Source.asked(name)
    images = datasets.load(source, folder, shown)
    return source.of(images), len(images.train_images)


def best(rows: list[Row]) -> Row | None:
    """Return the row of the smallest held-out error; None if there is none. The test set chooses nothing."""
    done = [(row.figures.held_out_percent, n) for n, row in enumerate(rows) if row.state is State.DONE]
    compared = [(percent, n) for percent, n in done if percent is not None]
    return rows[min(compared)[1]] if compared else None
