"""Carry out a study: measure the cells that its table lacks, one after the other, and write the report."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from nudge.plumbing import files
from nudge.plumbing.errors import StudyError
from nudge.plumbing.progress import Meter, note

from . import rows as table
from .study import Budget, Cell, Row, Study


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
    """Measure the cells that the folder `out` lacks and write the report; return the table and all files.

    The CSV is rewritten atomically after each cell, so an interrupted study resumes there. Rows of other
    configurations raise `StudyError` before anything is written, unless `force`. only: measure only the cells
    with these labels (`chosen`). Also raises `StudyError` if the budget needs more memory than is available.
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
        rows = {} if force else table.read(path, cells)
        text = _measured(study, budget, cells, wanted, rows, path)
    return text, [path, path.with_suffix(".md"), path.with_suffix(".png")]


def _measured(study: Study, budget: Budget, cells: list[Cell], wanted: list[Cell], rows: dict[str, Row], path: Path) -> str:
    """Measure the wanted cells that `rows` lacks, write each one, and report; return the table."""
    missing = [cell for cell in wanted if cell.fingerprint not in rows]
    if len(missing) < len(wanted):
        note(f"{path} has {len(wanted) - len(missing)} of {len(wanted)} cells already: --force measures them again")
    with threads(budget.threads), Meter(study.name, len(wanted), len(wanted) - len(missing)) as meter:
        for cell in missing:
            checkpoint = path.with_name(f".{path.stem}-{cell.fingerprint}.checkpoint")
            measured = cell.measure(checkpoint, meter.tell) if cell.long else cell.measure()
            figures = {name: f"{value:.6g}" for name, value in measured.items()}
            rows[cell.fingerprint] = cell.labels | {"seed": str(cell.seed)} | figures | {"fingerprint": cell.fingerprint}
            table.write(path, list(rows.values()))
            checkpoint.unlink(missing_ok=True)
            if study.partial:
                _report(study, budget, cells, rows, path)
            meter.advance(1, ", ".join((*cell.labels.values(), f"seed {cell.seed}", *list(figures.values())[:4])))
    return _report(study, budget, cells, rows, path)


def _report(study: Study, budget: Budget, cells: list[Cell], rows: dict[str, Row], path: Path) -> str:
    """Report the measured rows and return the table; `StudyError` if a row lacks a figure."""
    try:
        return study.report(budget, [rows[cell.fingerprint] for cell in cells if cell.fingerprint in rows], path)
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
