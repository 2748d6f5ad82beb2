"""What a study is: budgets, cells that are measured once each, and a report of their rows. `carry_out` measures it."""

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from golden.training import data as datasets
from golden.training.data import Data
from plumbing.errors import StudyError

GIBIBYTE = 1 << 30


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
    #: Cells of a budget and one seed, with the folder of the data sets.
    seed_cells: Callable[[Budget, int, Path | None], Iterable[Cell]]
    #: Writes the Markdown table and the PNG of complete rows, beside the CSV that is given, and returns the table.
    report: Callable[[Budget, list[Row], Path], str]
    #: Whether `report` copes with missing rows; it is then written after each row, and `only` may choose rows.
    partial: bool = False
    #: Whether the study computes on the device that the budget's values name.
    devices: bool = False

    def cells(self, budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
        """All of them; those of the first seed come first."""
        return [cell for seed in range(1, seeds + 1) for cell in self.seed_cells(budget, seed, data_dir)]

    def budget(self, name: str) -> Budget:
        """The budget of that name; `StudyError` lists those there are."""
        for budget in self.budgets:
            if budget.name == name:
                return budget
        raise StudyError(f"--budget must be one of {', '.join(b.name for b in self.budgets)} for {self.name}, not {name!r}")


@lru_cache(maxsize=2)
def images(name: str, data_dir: Path | None) -> Data:
    """A data set, read when a cell is measured: a complete table is drawn again without it."""
    return datasets.load(name, data_dir)
