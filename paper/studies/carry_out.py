"""Carry out a study: measure the cells that its table lacks, here or on workers, and write the report."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nudge.paper.tables import rows as table
from nudge.paper.tables.study import Budget, Cell, Row, Study
from nudge.plumbing import cluster, files, parts
from nudge.plumbing.cluster import Job
from nudge.plumbing.errors import StudyError
from nudge.plumbing.progress import Meter, note


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
    part: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> tuple[str, list[Path]]:
    """Measure the cells that the folder `out` lacks and write the report; return the table and all files.

    The CSV is rewritten atomically after each cell, so an interrupted study resumes there. Rows of other
    configurations raise `StudyError` before anything is written, unless `force`. only: measure only the cells
    with these labels (`chosen`). part: "K/N" measures each N-th cell, from the K-th on, without a report;
    `merge` puts the tables together. workers, scheduler: as for `plumbing.cluster.opened`; both None: this
    process measures. Also raises `StudyError` if the budget needs more memory than is available.
    """
    budget = on_device(study, study.budget(budget_name), device)
    if seeds is not None and seeds < 1:
        raise StudyError(f"--seeds must be at least 1, not {seeds}")
    free = available_memory() if device == "cpu" else torch.cuda.mem_get_info()[0]
    needed = budget.memory * (workers or 1)
    if needed > free and scheduler is None:
        raise StudyError(
            f"--budget {budget.name} needs about {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB "
            f"are free: choose a smaller one of {', '.join(b.name for b in study.budgets)}"
        )
    cells = study.cells(budget, budget.seeds if seeds is None else seeds, data_dir)
    wanted = cells if only is None else chosen(study, cells, only)
    wanted = parts.part(wanted, part, "--cells")
    path = out / f"{study.name}-{budget.name}.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"--out {out}: {error.strerror}") from None
    with files.owned(path.with_name(f".{path.stem}.lock"), StudyError):
        stem = re.escape(path.stem)
        files.remove_unfinished(out, rf"{stem}[.](csv|md|png)|[.]{stem}-[0-9a-f]{{8}}[.]checkpoint")
        rows = {} if force else table.read(path, cells)
        missing = [cell for cell in wanted if cell.fingerprint not in rows]
        if len(missing) < len(wanted):
            note(
                f"{path} has {len(wanted) - len(missing)} of {len(wanted)} cells already: --force measures "
                "them again"
            )
        place = Place(study.name, budget.name, device, data_dir and data_dir.absolute(), path.absolute())
        with Meter(study.name, len(wanted), len(wanted) - len(missing)) as meter:
            if workers is None and scheduler is None:
                found = _here(budget, missing, path, meter)
            else:
                found = _on_workers(place, missing, workers, scheduler, meter)
            for cell, figures in found:
                rows[cell.fingerprint] = (
                    cell.labels | {"seed": str(cell.seed)} | figures | {"fingerprint": cell.fingerprint}
                )
                write(path, rows, cells)
                checkpoint(path, cell).unlink(missing_ok=True)
                if study.partial and part is None:
                    _report(study, budget, cells, rows, path)
                meter.advance(
                    1, ", ".join((*cell.labels.values(), f"seed {cell.seed}", *list(figures.values())[:4]))
                )
        if part is not None:
            return f"{len(wanted)} of {len(cells)} cells: `nudge repro merge` puts tables together", [path]
        text = _report(study, budget, cells, rows, path)
    return text, [path, path.with_suffix(".md"), path.with_suffix(".png")]


@dataclass(frozen=True)
class Place:
    """Where a worker finds a cell: study, budget, device, folder of the data, path of the table."""

    study: str
    budget: str
    device: str
    data_dir: Path | None
    path: Path


#: Figures of a cell as they are written, by name.
Figures = dict[str, str]


def checkpoint(path: Path, cell: Cell) -> Path:
    """Return the file from which a long cell of the table at `path` resumes."""
    return path.with_name(f".{path.stem}-{cell.fingerprint}.checkpoint")


def measured(cell: Cell, budget: Budget, path: Path, tell: Any) -> Figures:
    """Measure a cell. tell: called with texts about the progress of a long one."""
    with threads(budget.threads):
        found = cell.measure(checkpoint(path, cell), tell) if cell.long else cell.measure()
    return {name: f"{value:.6g}" for name, value in found.items()}


def _here(budget: Budget, missing: list[Cell], path: Path, meter: Meter) -> Iterator[tuple[Cell, Figures]]:
    for cell in missing:
        yield cell, measured(cell, budget, path, meter.tell)


def _on_workers(
    place: Place, missing: list[Cell], workers: int | None, scheduler: str | None, meter: Meter
) -> Iterator[tuple[Cell, Figures]]:
    """Yield the missing cells as workers measure them; raise the first error, after which the others end."""
    cells = {cell.fingerprint: cell for cell in missing}
    jobs = [Job(name, _on_a_worker, (place, cell.seed, name)) for name, cell in cells.items()]
    with (
        cluster.opened(workers, scheduler) as found,
        closing(found.results(iter(jobs), lambda _, said: meter.tell(said["status"]))) as results,
    ):
        for job, result in results:
            if isinstance(result, BaseException):
                raise result
            yield cells[job.name], result


def _on_a_worker(place: Place, seed: int, fingerprint: str) -> Figures:
    """Measure the cell with this seed and fingerprint."""
    from . import find  # late: it imports the studies, which import this package

    if not place.path.parent.is_dir():
        raise StudyError(
            f"{place.path.parent} doesn't exist here: --out must be on a disk that all workers share"
        )
    study = find(place.study)
    budget = on_device(study, study.budget(place.budget), place.device)
    (cell,) = (
        each for each in study.seed_cells(budget, seed, place.data_dir) if each.fingerprint == fingerprint
    )
    return measured(cell, budget, place.path, lambda status: cluster.tell(fingerprint, status=status))


def write(path: Path, rows: dict[str, Row], cells: list[Cell]) -> None:
    """Write the rows in the order of the cells, rows of more seeds after them."""
    order = {cell.fingerprint: n for n, cell in enumerate(cells)}
    table.write(path, sorted(rows.values(), key=lambda row: order.get(row["fingerprint"], len(order))))


def merge(folders: list[Path], out: Path, data_dir: Path | None = None) -> tuple[str, list[Path]]:
    """Put the tables that parts of studies have left in these folders together in `out`, and report.

    Raises `StudyError` for a folder without tables, for rows of another version, and for cells that are
    missing, unless the study's report accepts that.
    """
    from . import NAMES, find

    texts: list[str] = []
    made: list[Path] = []
    names = {path.name for folder in folders for path in folder.glob("*-*.csv")}
    for name in sorted(names):
        kind, _, size = name.removesuffix(".csv").rpartition("-")
        if kind not in NAMES:
            continue
        study = find(kind)
        budget = on_device(study, study.budget(size), "cpu")
        tables = [folder / name for folder in folders]
        most = max(table.seeds(path) for path in tables)
        cells = study.cells(budget, max(most, 1), data_dir)
        rows = {key: row for path in (out / name, *tables) for key, row in table.read(path, cells).items()}
        missing = [cell for cell in cells if cell.fingerprint not in rows]
        if missing and not study.partial:
            raise StudyError(f"{name}: {len(missing)} of {len(cells)} cells are in no table")
        out.mkdir(parents=True, exist_ok=True)
        path = out / name
        with files.owned(path.with_name(f".{path.stem}.lock"), StudyError):
            write(path, rows, cells)
            texts.append(_report(study, budget, cells, rows, path))
        made += [path, path.with_suffix(".md"), path.with_suffix(".png")]
    if not made:
        raise StudyError(f"no study's table in {', '.join(map(str, folders))}: such as precision-quick.csv")
    return "\n\n".join(texts), made


def _report(study: Study, budget: Budget, cells: list[Cell], rows: dict[str, Row], path: Path) -> str:
    """Report the measured rows and return the table; `StudyError` if a row lacks a figure."""
    try:
        return study.report(
            budget, [rows[cell.fingerprint] for cell in cells if cell.fingerprint in rows], path
        )
    except (LookupError, ValueError) as error:
        raise table.damaged(path, f"no figure {error}") from error


def available_memory() -> int:
    """Return the available memory in bytes: the kernel's estimate, or what a control group leaves if less."""
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
    """Return the budget with the device in its values; `StudyError` if absent or of no use to the study."""
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
    """Return the cells that have all labels of `only`, separated by commas, which labels may contain too.

    Raises `StudyError` with the list of all labels if there is no such cell.
    """
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
    """Set torch's number of threads within the context; None leaves it unchanged."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if number is None else number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
