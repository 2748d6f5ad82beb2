"""A study: budgets, cells that are measured once each, and a report of their rows. `carry_out` runs it."""

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nudge.golden.contract.shapes import Input
from nudge.golden.training import data as datasets
from nudge.golden.training.data import Data
from nudge.plumbing.errors import StudyError

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class Budget:
    """Size of a study: its seeds, memory and settings."""

    name: str
    #: Number of seeds of each row, unless `--seeds` is given.
    seeds: int
    #: Minimum memory in bytes; the study isn't started on a machine with less available.
    memory: int
    #: Settings that the study's own code reads, such as samples and epochs.
    values: dict[str, Any]
    #: Number of torch threads, None for torch's choice. Steps of narrow networks are so short that a second
    #: thread waits longer than it works.
    threads: int | None = None


@dataclass(frozen=True)
class Cell:
    """One measurement of the table."""

    #: Labels of its row, by column.
    labels: dict[str, str]
    #: Seed of its run.
    seed: int
    #: Everything that determines the result, as plain data.
    configuration: Any
    #: Returns the figures, by name.
    measure: Callable[..., dict[str, float]]
    #: Whether `measure` takes a checkpoint file, from which it resumes, and a callback for its progress.
    long: bool = False

    @property
    def fingerprint(self) -> str:
        """CRC-32 of labels, seed and configuration; it tells rows of another version of a study apart."""
        known = json.dumps([self.labels, self.seed, self.configuration], sort_keys=True)
        return f"{zlib.crc32(known.encode()):08x}"


Row = dict[str, str]


def plain(settings: Any) -> dict[str, Any]:
    """Return a dataclass as plain data, without later options at their original values: the order "all",
    fixed numbers of steps, one learning rate, no centred updates, full feedback, no fine spikes, MNIST's
    images, pixels as they are. So fingerprints stay the same, and tables keep their rows, when an option is
    added.
    """
    before: dict[str, Any] = {
        "order": "all",
        "still": None,
        "halvings": (),
        "by_layer": False,
        "centred": False,
    }
    before |= {"feedback": 1.0, "fine": None, "normalised": False, "image": Input().shape}
    return asdict(
        settings, dict_factory=lambda pairs: {k: v for k, v in pairs if (k, v) not in before.items()}
    )


@dataclass(frozen=True)
class Study:
    """The cells of a study, and its report."""

    #: Name on the command line.
    name: str
    budgets: tuple[Budget, ...]
    #: Returns the cells of a budget and one seed; the third argument is the folder of the data sets.
    seed_cells: Callable[[Budget, int, Path | None], Iterable[Cell]]
    #: Writes the Markdown table and the PNG of measured rows beside the CSV of the path; returns the table.
    report: Callable[[Budget, list[Row], Path], str]
    #: Whether `report` accepts missing rows; it is then written after each row, and `only` may choose rows.
    partial: bool = False
    #: Whether the study computes on the device that the budget's values name.
    devices: bool = False

    def cells(self, budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
        """Return all cells, in the order of their seeds, 1 to `seeds`."""
        return [cell for seed in range(1, seeds + 1) for cell in self.seed_cells(budget, seed, data_dir)]

    def budget(self, name: str) -> Budget:
        """Return the budget of that name; `StudyError` lists the known ones."""
        for budget in self.budgets:
            if budget.name == name:
                return budget
        raise StudyError(
            f"--budget must be one of {', '.join(b.name for b in self.budgets)} for {self.name}, not {name!r}"
        )


@lru_cache(maxsize=2)
def images(name: str, data_dir: Path | None, shown: Input = Input()) -> Data:  # noqa: B008 (frozen)
    """Return a data set for networks of these images and classes.

    It is read when the first cell is measured: a complete table needs none to be reported.
    """
    return datasets.load(name, data_dir, shown)
