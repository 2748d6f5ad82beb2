"""Progress of a sweep on standard error: a bar for all runs and one for each in progress, or plain lines."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nudge.plumbing.progress import PLAIN_INTERVAL, note

from .sweep import Display, best
from .table import Row, State


class Bars(Display):
    """Progress on a terminal, or in lines: one for each run that ends, and one every `PLAIN_INTERVAL`."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console) if console.is_terminal else None
        self._each: dict[str, TaskID] = {}
        self._rows: list[Row] = []
        self._total = self._first = 0
        self._start = self._printed = time.monotonic()

    def stop(self) -> None:
        """Remove the bars."""
        if self._bars is not None:
            self._bars.stop()

    def begin(self, folder: Path, total: int, rows: list[Row], dashboard: str) -> None:
        self.folder = folder
        self._total, self._rows, self._first = total, list(rows), len(rows)
        note(f"{total} runs in {folder}, {len(rows)} of them done before; workers: {dashboard}")
        if self._bars is not None:
            self._all = self._bars.add_task("all runs", total=total, completed=len(rows), status="")
            self._bars.start()

    def told(self, name: str, said: dict[str, Any]) -> None:
        if self._bars is not None:
            if name not in self._each:
                self._each[name] = self._bars.add_task(name, total=said["total"], status="")
            self._bars.update(
                self._each[name], completed=said["done"], status=f"training error {said['percent']:.2f} %"
            )
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL:
            self._printed = time.monotonic()
            share = f"{said['done']}/{said['total']} samples, training error {said['percent']:.2f} %"
            note(f"{self._summary()}; {name}: {share}")

    def ended(self, row: Row) -> None:
        self._rows.append(row)
        values = ", ".join(f"{key} {value}" for key, value in row.values.items())
        percent = "" if row.figures.percent is None else f" {row.figures.percent:.2f} %"
        line = f"{row.run} ({values}): {row.state}{percent}{'; ' if row.error else ''}{row.error}"
        if self._bars is not None:
            self._bars.remove_task(self._each.pop(row.run)) if row.run in self._each else None
            self._bars.update(self._all, advance=1, status=self._best())
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            self._printed = time.monotonic()
            note(f"{self._summary()}; {line}")

    def _best(self) -> str:
        found = best(self._rows)
        failed = sum(row.state is State.FAILED for row in self._rows)
        texts = [f"best held out {found.figures.held_out_percent:.2f} %"] if found else []
        return ", ".join([*texts, *([f"{failed} failed"] if failed else [])])

    def _summary(self) -> str:
        ended = len(self._rows) - self._first
        left = (self._total - len(self._rows)) * (time.monotonic() - self._start) / ended if ended else 0
        texts = [f"{len(self._rows)}/{self._total} runs", self._best(), f"{left:.0f} s left" if left else ""]
        return "  ".join(filter(None, texts))
