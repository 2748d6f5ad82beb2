"""Varied keys as axes, and settings: runs that differ in the seed alone."""

import math
import statistics
from dataclasses import dataclass, field
from itertools import pairwise

from nudge.host.view.ticks import TICKS, round_ticks

from .folder import Sweep, setting

#: The key over whose values errors are averaged.
SEED = "seed"

#: Numbers of a larger ratio have a logarithmic axis.
RATIO = 10

#: Smallest distance of two ticks, as a share of an axis's length.
APART = 0.1

#: Most letters of a category's label.
LETTERS = 24

#: Largest distance from a value's place, as a share of an axis of numbers and of a category's width.
BESIDE, BESIDE_CATEGORY = 0.04, 0.3


@dataclass(frozen=True)
class Axis:
    """How the values of a varied key are drawn."""

    key: str
    #: Labels of values that aren't numbers, such as words and lists, in order; None: all are numbers.
    categories: tuple[str, ...] | None
    logarithmic: bool = False
    #: Labelled numbers; (): evenly spaced ones.
    ticks: tuple[float, ...] = ()

    #: The smallest and the largest number, which aren't part of a page's structure.
    ends: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def place(self, value: str, aside: float = 0.0) -> float | str | tuple[str, float]:
        """Return where a value is drawn. aside: by how much beside, -1 to 1, to tell several apart."""
        if self.categories is not None:
            return (shown(value), BESIDE_CATEGORY * aside) if aside else shown(value)
        low, high = self.ends
        if self.logarithmic:
            return float(value) * (high / low) ** (BESIDE * aside)
        return float(value) + (high - low) * BESIDE * aside


@dataclass(frozen=True)
class Setting:
    """Runs trained to their end that differ in the seed alone."""

    #: Value of each varied key but the seed.
    values: dict[str, str]
    #: Error of each seed in percent.
    errors: list[float]

    @property
    def mean(self) -> float:
        """Mean of the errors."""
        return statistics.fmean(self.errors)

    @property
    def deviation(self) -> float:
        """Sample standard deviation of the errors; 0 for one seed."""
        return statistics.stdev(self.errors) if len(self.errors) > 1 else 0.0

    @property
    def words(self) -> str:
        """Its values and the number of its seeds."""
        count = f"{len(self.errors)} seed{'s' * (len(self.errors) > 1)}"
        return ", ".join(filter(None, (setting(self.values), count)))


def shown(value: str) -> str:
    """Return the label of a category, the end of a long one such as a path."""
    return value if len(value) <= LETTERS else f"…{value[1 - LETTERS :]}"


def axes(sweep: Sweep) -> list[Axis]:
    """Return an axis for each varied key that has a value."""
    found = {key: {t.values[key] for t in sweep.trials if key in t.values} for key in sweep.keys}
    return [_axis(key, values) for key, values in found.items() if values]


def _axis(key: str, values: set[str]) -> Axis:
    try:
        numbers = sorted(map(float, values))
    except ValueError:
        return Axis(key, tuple(sorted(set(map(shown, values)))))
    if not all(map(math.isfinite, numbers)):
        return Axis(key, tuple(sorted(set(map(shown, values)))))
    logarithmic = key != SEED and numbers[0] > 0 and numbers[-1] > RATIO * numbers[0]
    return Axis(key, None, logarithmic, _ticks(numbers, logarithmic), (numbers[0], numbers[-1]))


def _ticks(numbers: list[float], logarithmic: bool) -> tuple[float, ...]:
    """Return the numbers if their labels fit; else round ones on a logarithmic axis, none on a linear one."""
    places = [math.log(number) if logarithmic else number for number in numbers]
    nearest = min((after - before for before, after in pairwise(places)), default=0.0)
    if len(numbers) <= TICKS and nearest >= APART * (places[-1] - places[0]):
        return tuple(numbers)
    return round_ticks(numbers) if logarithmic else ()


def settings(sweep: Sweep) -> list[Setting]:
    """Return the settings of a sweep that varies the seed, the smallest mean first; else [].

    Runs of a setting with equal seeds count once, as they have the same bits.
    """
    if SEED not in sweep.keys:
        return []
    groups: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for trial in sweep.ranked:
        values = {key: value for key, value in trial.values.items() if key != SEED}
        assert trial.figures.percent is not None
        groups.setdefault(tuple(values.items()), {}).setdefault(
            trial.values.get(SEED, ""), trial.figures.percent
        )
    found = [Setting(dict(values), list(errors.values())) for values, errors in groups.items()]
    return sorted(found, key=lambda each: each.mean)
