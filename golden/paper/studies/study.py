"""What all studies share: cells that are measured once, a table that survives an interruption, budgets that must fit."""

import csv
import io
import json
import re
import reprlib
import statistics
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from golden import files
from golden.contract.errors import StudyError
from golden.progress import Meter, note

GIBIBYTE = 1 << 30

#: Bytes of a study's CSV at most.
MAX_BYTES = 1 << 24

#: A seed in a CSV.
NUMBER = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class Budget:
    """How much a study does."""

    name: str
    #: Runs of each cell, unless `--seeds` says otherwise.
    seeds: int
    #: Bytes that it needs at least; what needs more than the machine has isn't begun.
    memory: int
    #: What the study's own code reads, such as samples and epochs.
    values: dict[str, Any]
    #: Torch's, None for its own choice: steps of narrow networks are so short that a second thread waits longer than it works.
    threads: int | None = None


@dataclass(frozen=True)
class Cell:
    """One measurement of the table."""

    #: Its row, without the figures.
    labels: dict[str, str]
    #: Of its run.
    seed: int
    #: All that fixes the result, as plain data.
    configuration: Any
    #: Gives the figures, by name.
    measure: Callable[..., dict[str, float]]
    #: Whether `measure` takes a file for its checkpoints, so that an interruption loses little, and a function that it tells
    #: how far it is.
    long: bool = False

    @property
    def fingerprint(self) -> str:
        """CRC-32 of the configuration: rows of an older version of a study are recognised by it."""
        return f"{zlib.crc32(json.dumps([self.labels, self.seed, self.configuration], sort_keys=True).encode()):08x}"


Row = dict[str, str]


def plain(settings: Any) -> dict[str, Any]:
    """A dataclass as plain data. With what there was before there was anything else (all layers at once, fixed numbers of
    steps, one rate, no centred updates, full feedback, spikes of one size) it is as it was then: tables keep their rows."""
    before = {"order": "all", "still": None, "halvings": (), "by_layer": False, "centred": False, "feedback": 1.0}
    before |= {"fine": None}
    return asdict(settings, dict_factory=lambda pairs: {k: v for k, v in pairs if (k, v) not in before.items()})


@dataclass(frozen=True)
class Study:
    """What is measured, and what is reported of it."""

    #: On the command line.
    name: str
    budgets: tuple[Budget, ...]
    #: Cells of a budget, for a number of seeds, with the folder of the data sets.
    cells: Callable[[Budget, int, Path | None], list[Cell]]
    #: Writes the Markdown table and the PNG of complete rows, beside the CSV that is given, and returns the table.
    report: Callable[[Budget, list[Row], Path], str]
    #: Whether `report` copes with missing rows; it is then written after each row, and `only` may choose rows.
    partial: bool = False
    #: Whether the study computes on the device that the budget's values name.
    devices: bool = False

    def budget(self, name: str) -> Budget:
        """The budget of that name; `StudyError` lists those there are."""
        for budget in self.budgets:
            if budget.name == name:
                return budget
        raise StudyError(f"--budget must be one of {', '.join(b.name for b in self.budgets)} for {self.name}, not {name!r}")


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


def on_device(study: Study, budget: Budget, device: str) -> Budget:
    """The budget with a device in its values; `StudyError` where there is none, or the study has no use for it."""
    if not study.devices:
        if device != "cpu":
            raise StudyError(f"--device must be cpu for {study.name}, not {device!r}")
        return budget
    if device not in ("cpu", "cuda"):
        raise StudyError(f"--device must be cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise StudyError("--device cuda: torch finds no such device here, choose cpu")
    return replace(budget, values=budget.values | {"device": device})


def chosen(study: Study, cells: list[Cell], only: str) -> list[Cell]:
    """Cells that have all labels of `only`, which commas separate, as some labels do inside; `StudyError` lists the labels."""
    if not study.partial:
        raise StudyError(f"--only: {study.name} is measured as a whole")
    some = [cell for cell in cells if _lists(only, set(cell.labels.values()))]
    if not some:
        labels = dict.fromkeys(label for cell in cells for label in cell.labels.values())
        raise StudyError(f"--only must be one of {', '.join(labels)} for {study.name}, not {only!r}")
    return some


def _lists(only: str, labels: set[str]) -> bool:
    return only in labels or any(
        only.startswith(f"{label},") and _lists(only.removeprefix(f"{label},"), labels) for label in labels
    )


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Torch with this number of threads; None: as many as it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if number is None else number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def carry_out(
    study: Study,
    budget_name: str,
    out: Path,
    *,
    seeds: int | None = None,
    data_dir: Path | None = None,
    force: bool = False,
    device: str = "cpu",
    only: str | None = None,
) -> tuple[str, list[Path]]:
    """Measure what `out` doesn't have yet, then write the report; the table and the files.

    The CSV grows by a row for each cell, atomically, so an interrupted study goes on where it stopped. Rows of other
    configurations stop it before anything is written, unless `force`. only: measure the cells with these labels.
    """
    budget = on_device(study, study.budget(budget_name), device)
    if seeds is not None and seeds < 1:
        raise StudyError(f"--seeds must be at least 1, not {seeds}")
    free = available_memory() if device == "cpu" else torch.cuda.mem_get_info()[0]
    if budget.memory > free:
        raise StudyError(
            f"--budget {budget.name} needs about {budget.memory / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free: "
            f"choose a smaller one of {', '.join(b.name for b in study.budgets)}"
        )
    cells = study.cells(budget, budget.seeds if seeds is None else seeds, data_dir)
    wanted = cells if only is None else chosen(study, cells, only)
    path = out / f"{study.name}-{budget.name}.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"--out {out}: {error.strerror}") from None
    with files.owned(path.with_name(f".{path.stem}.lock"), StudyError):
        stem = re.escape(path.stem)
        files.remove_unfinished(out, rf"{stem}[.](csv|md|png)|[.]{stem}-[0-9a-f]{{8}}[.]checkpoint")
        rows = {} if force else _read(path, cells)
        table = _measured(study, budget, cells, wanted, rows, path)
    return table, [path, path.with_suffix(".md"), path.with_suffix(".png")]


def _measured(study: Study, budget: Budget, cells: list[Cell], wanted: list[Cell], rows: dict[str, Row], path: Path) -> str:
    """Measure what `rows` lacks of the wanted cells, write it, and report; the table."""
    missing = [cell for cell in wanted if cell.fingerprint not in rows]
    if len(missing) < len(wanted):
        note(f"{path} has {len(wanted) - len(missing)} of {len(wanted)} cells already: --force measures them again")
    with threads(budget.threads), Meter(study.name, len(wanted), len(wanted) - len(missing)) as meter:
        for cell in missing:
            checkpoint = path.with_name(f".{path.stem}-{cell.fingerprint}.checkpoint")
            measured = cell.measure(checkpoint, meter.tell) if cell.long else cell.measure()
            figures = {name: f"{value:.6g}" for name, value in measured.items()}
            rows[cell.fingerprint] = cell.labels | {"seed": str(cell.seed)} | figures | {"fingerprint": cell.fingerprint}
            _write(path, rows.values())
            checkpoint.unlink(missing_ok=True)
            if study.partial:
                _report(study, budget, cells, rows, path)
            meter.advance(1, ", ".join((*cell.labels.values(), f"seed {cell.seed}", *list(figures.values())[:4])))
    return _report(study, budget, cells, rows, path)


def _report(study: Study, budget: Budget, cells: list[Cell], rows: dict[str, Row], path: Path) -> str:
    """Table and picture of the rows that there are; `StudyError` where a row lacks a figure."""
    try:
        return study.report(budget, [rows[cell.fingerprint] for cell in cells if cell.fingerprint in rows], path)
    except (LookupError, ValueError) as error:
        raise _damaged(path, f"no figure {error}") from error


def _more_seeds(rows: list[Row], seeds: int) -> bool:
    """Whether all these rows are of seeds beyond those that are asked for now: they stay, unused."""
    return all(int(row["seed"]) > seeds for row in rows)


def _damaged(path: Path, why: str) -> StudyError:
    return StudyError(f"{path} is damaged ({why}): --force begins anew, --out elsewhere")


def _read(path: Path, cells: list[Cell]) -> dict[str, Row]:
    """Rows by fingerprint; none if there is no file.

    `StudyError` for rows of another version of the study, and for what no study wrote.
    """
    if not path.exists():
        return {}
    known = {cell.fingerprint: cell for cell in cells}
    text = files.read_text(path, MAX_BYTES, lambda why: StudyError(f"{why}: --force begins anew, --out elsewhere"))
    found: dict[str, Row] = {}
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            if None in row or None in row.values() or not {"seed", "fingerprint"} <= row.keys():
                raise ValueError("a row of another length, or no seed or fingerprint")
            if not NUMBER.fullmatch(row["seed"]):
                raise ValueError(f"seed {reprlib.repr(row['seed'])}")
            found[row["fingerprint"]] = {name: value for name, value in row.items() if value}
        for cell in filter(None, map(known.get, found)):
            row = found[cell.fingerprint]
            if {name: row.get(name, "") for name in cell.labels} != cell.labels or int(row["seed"]) != cell.seed:
                raise ValueError(f"labels that aren't those of {cell.fingerprint}")
            for name in row.keys() - cell.labels.keys() - {"fingerprint"}:
                float(row[name])
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from None
    foreign = [row for row in found.values() if row["fingerprint"] not in known]
    if foreign and not _more_seeds(foreign, len({cell.seed for cell in cells})):
        raise StudyError(f"{path} has {len(foreign)} rows of another version of the study: --force begins anew")
    return found


def _write(path: Path, rows: Iterable[Row]) -> None:
    files.write(path, _csv(list(rows)))


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    # rows may have figures that others lack, such as those of more epochs: empty there
    figures = dict.fromkeys(name for row in rows for name in row if name != "fingerprint")
    writer = csv.DictWriter(text, [*figures, "fingerprint"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def mean_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
