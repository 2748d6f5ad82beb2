"""How many bits and steps learning needs: error against each width of the number contract, T and M, one at a time.

The network is `small` as it was then, the base; each row changes one quantity and keeps the value of all others. Errors are
of training images that were held out: the contract in `golden.contract.spec` is chosen by them, so the test set must
not be asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from matplotlib import pyplot as plt

from golden.contract.formats import Formats
from golden.contract.presets import PRESETS
from golden.contract.schedule import Schedule
from golden.contract.spec import Spec
from golden.training import data as datasets
from golden.training.data import Data
from golden.training.plan import Plan
from plumbing.axes import logarithmic

from . import page
from .held_out import CPU, QUICK, STUDIED, by_equilibrium_propagation, plan_facts
from .study import GIBIBYTE, Budget, Cell, Row, Study, mean_deviation

BASE = STUDIED

#: The same network as it is now.
NOW = PRESETS[BASE.name]

#: The picture's largest error in percent, so that small differences show. What is above has an arrow and its value.
TOP = 20.0
UP = {"arrowstyle": "->"}

#: held_out: how many of the training images, the last ones. The rest is the plan.
#: The last epoch's rates are a fifth of the first's.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, QUICK),
    Budget("cpu", 3, 2 * GIBIBYTE, CPU),
)


@dataclass(frozen=True)
class Quantity:
    """A column of the number contract."""

    name: str
    #: Of its values.
    unit: str
    #: A network's value of it.
    of: Callable[[Spec], int]
    #: The network for each value.
    specs: dict[int, Spec]

    @property
    def chosen(self) -> int:
        """The base's value."""
        return self.of(BASE)

    @property
    def marks(self) -> dict[str, int]:
        """What the picture marks: the values of the preset and, where that is another one, of the base."""
        now = {f"{NOW.name} now, {NOW.schedule.order}": self.of(NOW)}
        return {BASE.name: self.chosen} if self.of(NOW) == self.chosen else {"base": self.chosen} | now


def working_weight(bits: int) -> Spec:
    """Working weights of `bits` bits in [-1, 1); phi's LSB follows."""
    return replace(BASE, formats=Formats.of(weight_bits=bits))


def master(bits: int) -> Spec:
    """Masters of `bits` bits, three of them for the sign and a batch's sum."""
    f = BASE.formats
    return replace(BASE, formats=replace(f, master_bits=bits, master_fraction=bits - (f.master_bits - f.master_fraction)))


def decoder(bits: int) -> Spec:
    """d of `bits` bits in [-8, 8), and biases of the same LSB."""
    return replace(BASE, formats=Formats.of(decoder_bits=bits))


def state(bits: int) -> Spec:
    """xi of `bits` fractional bits."""
    return replace(BASE, formats=Formats.of(state_fraction=bits))


def schedule(free: int, nudged: int, window: int = BASE.schedule.window) -> Spec:
    """Other phases; window: M."""
    return replace(BASE, schedule=Schedule(free, nudged, window.bit_length() - 1, BASE.schedule.decay_shift))


def _quantities() -> tuple[Quantity, ...]:
    s = BASE.schedule
    return (
        Quantity(
            "working weight",
            "bits",
            lambda spec: spec.formats.weight_bits,
            {b: working_weight(b) for b in (2, 3, 4, 5, 6, 7, 8)},
        ),
        Quantity("master", "bits", lambda spec: spec.formats.master_bits, {b: master(b) for b in (16, 17, 18, 19, 20)}),
        Quantity("state", "fractional bits", lambda spec: spec.formats.state_fraction, {b: state(b) for b in (4, 5, 6, 7, 8)}),
        Quantity("decoder", "bits", lambda spec: spec.formats.decoder_bits, {b: decoder(b) for b in (13, 14, 15, 16)}),
        Quantity(
            "T free",
            "steps, half nudged",
            lambda spec: spec.schedule.free,
            {t: schedule(t, max(t // 2, 8)) for t in (8, 12, 16, 24, 32, 48, 64)},
        ),
        Quantity(
            "T nudged",
            "steps",
            lambda spec: spec.schedule.nudged,
            {t: schedule(s.free, t) for t in (8, 12, 16, 24, 32)},
        ),
        Quantity(
            "M",
            "steps averaged",
            lambda spec: spec.schedule.window,
            {m: schedule(s.free, s.nudged, m) for m in (1, 2, 4, 8, 16)},
        ),
    )


QUANTITIES = _quantities()


@lru_cache
def _images(data: str, data_dir: Path | None) -> Data:
    return datasets.load(data, data_dir)


def measure(spec: Spec, plan: Plan, held_out: int, data: str, data_dir: Path | None) -> dict[str, float]:
    """A cell's figures. The images are read here, so that a complete table is drawn again without them."""
    return by_equilibrium_propagation(spec, plan, held_out, _images(data, data_dir))


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """A cell for each value and seed; the base itself is measured once and shown in each column."""
    values = dict(budget.values)
    data, samples, held_out = (values.pop(name) for name in ("data", "samples", "held_out"))
    made = {}
    for quantity in QUANTITIES:
        for value, spec in quantity.specs.items():
            chosen = value == quantity.chosen
            labels = {"quantity": "preset", "value": BASE.name} if chosen else {"quantity": quantity.name, "value": str(value)}
            for seed in range(1, seeds + 1):
                plan = Plan.of(spec, data, samples, seed=seed, **values)
                made[(*labels.values(), seed)] = Cell(
                    labels,
                    seed,
                    {"plan": plan_facts(plan), "spec": spec.identity, "free": plan.free_steps, "nudged": plan.nudged_steps},
                    partial(measure, spec, plan, held_out, data, data_dir),
                )
    return list(made.values())


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Markdown table and PNG beside `path`; the table."""
    errors: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        errors.setdefault((row["quantity"], row["value"]), []).append(float(row["error_percent"]))
    base = errors["preset", BASE.name]
    widths = "-".join(str(layer.shape[0]) for layer in BASE.layers[1:])
    lines = [
        f"Held-out error in percent, budget {budget.name}; mean and deviation over seeds. The base is `{BASE.name}` as it was "
        f"for this study: {widths}, layers in the order `{BASE.schedule.order}`. Each row changes one quantity of it. The "
        f"preset's own steps are of the order `{NOW.schedule.order}`.",
        "",
    ]
    lines += ["| quantity | value | error | deviation | seeds | mark |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    figure, panels = plt.subplots(2, 4, figsize=(14, 6.5), layout="constrained", sharey=True)
    for quantity, axes in zip(QUANTITIES, panels.flat, strict=False):
        points = []
        for value in quantity.specs:
            found = base if value == quantity.chosen else errors[quantity.name, str(value)]
            mean, deviation = mean_deviation(found)
            points.append((mean, deviation))
            name = f"{quantity.name} ({quantity.unit})"
            mark = ", ".join(who for who, marked in quantity.marks.items() if marked == value)
            lines.append(f"| {name} | {value} | {mean:.2f} | {deviation:.2f} | {len(found)} | {mark} |")
        means, deviations = zip(*points, strict=True)
        names = [str(value) for value in quantity.specs]
        logarithmic(axes)
        axes.errorbar(names, means, deviations, marker="o", capsize=3)
        ring = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 2, "zorder": 3}
        for who, value in quantity.marks.items():
            at, colour = list(quantity.specs).index(value), "C7" if who == "base" else "C1"
            axes.plot(names[at], means[at], "o", color=colour, label=f"{who}: {value}", **ring)
        for name, mean in zip(names, means, strict=True):
            if mean > TOP:
                axes.annotate(f"{mean:.0f} %", (name, TOP), (0, -28), textcoords="offset points", ha="center", arrowprops=UP)
        axes.set(xlabel=f"{quantity.name} ({quantity.unit})", ylim=(2, TOP), ylabel="")
        axes.legend()
    for axes in panels[:, 0]:
        axes.set_ylabel("held-out error (%)")
    for axes in panels.flat[len(QUANTITIES) :]:
        axes.set_visible(False)
    table = "\n".join(lines)
    page.write(path, table, figure)
    return table


STUDY = Study("precision", BUDGETS, cells, report)
