"""What all studies share: cells that are measured once, a table that survives an interruption, budgets that must fit."""

import csv
import io
import json
import statistics
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.checkpoint import atomic
from golden.progress import Meter

GIBIBYTE = 1 << 30


class ReproError(Exception):
    """A study that can't be carried out as asked; the message says what is allowed."""


@dataclass(frozen=True)
class Budget:
    """How much a study does.

    values: what the study's own code reads, such as samples and epochs. seeds: runs of each cell unless `--seeds` says
    otherwise. memory: bytes that it needs at least; what needs more than the machine has isn't begun.
    """

    name: str
    seeds: int
    memory: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One measurement of the table.

    labels: its row, without the figures. seed: of its run. configuration: all that fixes the result, as plain data.
    measure: the figures, by name.
    """

    labels: dict[str, str]
    seed: int
    configuration: Any
    measure: Callable[[], dict[str, float]]

    @property
    def fingerprint(self) -> str:
        """CRC-32 of the configuration: rows of an older version of a study are recognised by it."""
        return f"{zlib.crc32(json.dumps([self.labels, self.seed, self.configuration], sort_keys=True).encode()):08x}"


Row = dict[str, str]


@dataclass(frozen=True)
class Study:
    """name: on the command line. cells: of a budget, for so many seeds, with the folder of the data sets. report: writes
    the Markdown table and the PNG of complete rows, beside the CSV that is given, and returns the table."""

    name: str
    budgets: tuple[Budget, ...]
    cells: Callable[[Budget, int, Path | None], list[Cell]]
    report: Callable[[Budget, list[Row], Path], str]

    def budget(self, name: str) -> Budget:
        """The budget of that name; `ReproError` lists those there are."""
        for budget in self.budgets:
            if budget.name == name:
                return budget
        raise ReproError(f"--budget must be one of {', '.join(b.name for b in self.budgets)} for {self.name}, not {name!r}")


def available_memory() -> int:
    """Bytes that a process may still take: the kernel's estimate, or less where a control group says so."""
    free = 1 << 62
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _lines("/sys/fs/cgroup/memory.max"), _lines("/sys/fs/cgroup/memory.current")
    if limit and used and limit[0].isdigit():
        free = min(free, int(limit[0]) - int(used[0]))
    return free


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.is_file() else []


def carry_out(
    study: Study, budget_name: str, out: Path, *, seeds: int | None = None, data_dir: Path | None = None, force: bool = False
) -> tuple[str, list[Path]]:
    """Measure what `out` doesn't have yet, then write the report; the table and the files.

    The CSV grows by a row for each cell, atomically, so an interrupted study goes on where it stopped. Rows of other
    configurations stop it before anything is written, unless `force`.
    """
    budget = study.budget(budget_name)
    if seeds is not None and seeds < 1:
        raise ReproError(f"--seeds must be at least 1, not {seeds}")
    free = available_memory()
    if budget.memory > free:
        raise ReproError(
            f"--budget {budget.name} needs about {budget.memory / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free: "
            f"choose a smaller one of {', '.join(b.name for b in study.budgets)}"
        )
    cells = study.cells(budget, budget.seeds if seeds is None else seeds, data_dir)
    path = out / f"{study.name}-{budget.name}.csv"
    rows = {} if force else _read(path)
    known = {cell.fingerprint for cell in cells}
    foreign = [row for row in rows.values() if row["fingerprint"] not in known]
    if foreign and not _more_seeds(foreign, len({cell.seed for cell in cells})):
        raise ReproError(f"{path} has {len(foreign)} rows of another version of the study: --force begins anew")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReproError(f"--out {out}: {error.strerror}") from None
    missing = [cell for cell in cells if cell.fingerprint not in rows]
    with Meter(study.name, len(cells), len(cells) - len(missing)) as meter:
        for cell in missing:
            figures = {name: f"{value:.6g}" for name, value in cell.measure().items()}
            rows[cell.fingerprint] = cell.labels | {"seed": str(cell.seed)} | figures | {"fingerprint": cell.fingerprint}
            _write(path, rows.values())
            meter.advance(1, ", ".join((*cell.labels.values(), f"seed {cell.seed}", *figures.values())))
    table = study.report(budget, [rows[cell.fingerprint] for cell in cells], path)
    return table, [path, path.with_suffix(".md"), path.with_suffix(".png")]


def _more_seeds(rows: list[Row], seeds: int) -> bool:
    """Whether all these rows are of seeds beyond those that are asked for now: they stay, unused."""
    return all(int(row["seed"]) > seeds for row in rows)


def _read(path: Path) -> dict[str, Row]:
    """Rows by fingerprint; none if there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if None in row or None in row.values() or not {"seed", "fingerprint"} <= row.keys() or not row["seed"].isdigit():
            raise ReproError(f"{path} is damaged: --force begins anew, --out elsewhere")
    return {row["fingerprint"]: row for row in rows}


def _write(path: Path, rows: Iterable[Row]) -> None:
    with atomic(path) as temporary:
        temporary.write_text(_csv(list(rows)))


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def mean_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
