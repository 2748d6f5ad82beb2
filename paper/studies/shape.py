"""Which shape `medium` should have: error against parameters, for networks between `small` and what no board here holds.

All train alike. Errors are of training images that were held out, so the test set has no say in the choice.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib import pyplot as plt

from golden.contract.presets import PRESETS
from golden.contract.shapes import Conv, Dense
from golden.contract.spec import CLASSES, Spec
from golden.training import data as datasets
from golden.training.plan import Plan

from . import page
from .held_out import AT_ONCE, by_equilibrium_propagation, plan_facts, spec_facts
from .study import GIBIBYTE, Budget, Cell, Row, Study, mean_deviation

CHOSEN = replace(PRESETS["medium"], schedule=AT_ONCE)

#: held_out: how many of the training images, the last ones. In `cpu` the last epoch's rates are a tenth of the first's.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"data": "embedded", "samples": 750, "held_out": 250, "epochs": 6, "decay": 0.8}, threads=1),
    Budget(
        "cpu",
        2,
        2 * GIBIBYTE,
        {"data": "mnist", "samples": 55000, "held_out": 5000, "epochs": 8, "decay": 0.72, "shift": 1},
        threads=1,
    ),
)


def shape(first: int, second: int, hidden: int) -> Spec:
    """A network of two convolutions and two dense layers, of these widths."""
    stages = (Conv(first), Conv(second), Dense(hidden), Dense(CLASSES))
    return replace(CHOSEN, name=f"{first}-{second}-{hidden}", stages=stages)


#: The first is `small`, the last what `medium` was before a ULX3S had to hold it.
SHAPES = (
    shape(8, 16, 32),
    shape(8, 16, 48),
    shape(8, 20, 48),
    shape(8, 24, 48),
    shape(12, 24, 48),
    shape(16, 32, 64),
)


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """A cell for each shape and seed."""
    values = dict(budget.values)
    data, samples, held_out = (values.pop(name) for name in ("data", "samples", "held_out"))
    images = datasets.load(data, data_dir)
    made = []
    for seed in range(1, seeds + 1):
        for spec in SHAPES:
            plan = Plan.of(spec, data, samples, seed=seed, **values)
            facts = [plan_facts(plan), spec_facts(spec), held_out]
            train = partial(by_equilibrium_propagation, spec, plan, held_out, images)
            made.append(Cell({"shape": spec.name}, seed, facts, train))
    return made


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Markdown table and PNG beside `path`; the table."""
    intro = (
        f"Two convolutions and a hidden layer of these widths, {budget.values['samples']} training images, "
        f"{budget.values['epochs']} epochs: error in percent on {budget.values['held_out']} other training images, mean and "
        "deviation over seeds."
    )
    lines = []
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    ticks = []
    for place, spec in enumerate(SHAPES):
        mine = page.select(rows, shape=spec.name)
        mean, deviation = mean_deviation([float(row["error_percent"]) for row in mine])
        preset = next((known.name for known in PRESETS.values() if known.stages == spec.stages), "")
        errors = page.both(mine, "error_percent"), page.both(mine, "training_percent")
        lines.append([spec.name, f"{spec.parameters:,}", *errors, str(len(mine)), preset])
        axes.errorbar(place, mean, deviation, marker="o", capsize=3, color="C1" if preset else "C0")
        ticks.append("\n".join(filter(None, (spec.name, f"{spec.parameters:,}", preset))))
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(xlabel="widths, parameters, preset", ylabel="held-out error (%)", title=f"budget {budget.name}")
    axes.grid(alpha=0.3)
    text = f"{intro}\n\n{page.table(['shape', 'parameters', 'held out', 'training', 'seeds', 'preset'], lines)}"
    page.write(path, text, figure)
    return text


STUDY = Study("shape", BUDGETS, cells, report)
