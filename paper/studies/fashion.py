"""Why FashionMNIST is hard: one hypothesis a group, each variant of `small` trained alike, errors held out.

Groups vary the learning rule's constants, the time that the dynamics have, the number contract's range, and the network;
backpropagation through the same feed-forward network shows what is left for all of them to explain. The budget `long` asks how
`large` and `wide` do in more epochs of all images: how much is fitting, how much generalising, how much the network. The budget
`rule` asks what keeps two convolutions behind: the learning rule, its constants, the loss, the clip of the output, or that all
weights of a layer have one learning rate. It has 32-64-256 channels in the presets' order: its learning curve is that of the
published widths, 128-256-512, at a tenth of the time.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib import pyplot as plt

from golden.training import data as datasets
from golden.training.data import Data
from golden.training.plan import Plan
from plumbing.axes import plain_ticks

from . import page
from .fashion_variants import LONG, RULE, VARIANTS, Variant
from .held_out import by_equilibrium_propagation, plan_facts, spec_facts
from .study import GIBIBYTE, Budget, Cell, Row, Study, mean_deviation, plain

DATA = "fashion-mnist"

#: decay: the last epoch's rates are about a tenth of the first's.
BUDGETS = (
    Budget("quick", 1, 2 * GIBIBYTE, {"samples": 2000, "held_out": 1000, "epochs": 2, "decay": 0.3}),
    Budget("cpu", 3, 2 * GIBIBYTE, {"samples": 20000, "held_out": 5000, "epochs": 4, "decay": 0.5}),
    Budget("long", 1, 2 * GIBIBYTE, {"samples": 55000, "held_out": 5000, "epochs": 8, "decay": 0.72}, threads=1),
    Budget("rule", 1, 2 * GIBIBYTE, {"samples": 55000, "held_out": 5000, "epochs": 4, "decay": 0.5}, threads=1),
)


def variants(budget: Budget) -> tuple[Variant, ...]:
    """The rows of a budget."""
    return {"long": LONG, "rule": RULE}.get(budget.name, VARIANTS)


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """A cell for each variant and seed."""
    images = datasets.load(DATA, data_dir)
    return [cell(variant, seed, budget, images) for variant in variants(budget) for seed in range(1, seeds + 1)]


def cell(variant: Variant, seed: int, budget: Budget, images: Data) -> Cell:
    """One run of a variant."""
    values = budget.values | dict(variant.plan)
    held_out, samples = values.pop("held_out"), values.pop("samples")
    plan = Plan.of(variant.spec, DATA, samples, seed=seed, **values)
    how = None if variant.backprop is None else plain(variant.backprop)
    facts = [plan_facts(plan), spec_facts(variant.spec), held_out, how]
    train: Callable[..., dict[str, float]] = variant.backprop.error if variant.backprop else by_equilibrium_propagation
    labels = {"group": variant.group, "variant": variant.name}
    return Cell(labels, seed, facts, partial(train, variant.spec, plan, held_out, images))


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Markdown table and PNG beside `path`; the table."""
    lines = [
        f"FashionMNIST, {budget.values['samples']} training images, {budget.values['epochs']} epochs: error in percent on "
        f"{budget.values['held_out']} other training images, and of the last epoch's training; mean and deviation over seeds.",
        "",
        "| group | variant | held out | deviation | training | seeds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    names, means, deviations, trainings = [], [], [], []
    for variant in variants(budget):
        mine = page.select(rows, group=variant.group, variant=variant.name)
        if not mine:
            continue
        mean, deviation = mean_deviation([float(row["error_percent"]) for row in mine])
        training, _ = mean_deviation([float(row["training_percent"]) for row in mine])
        lines.append(f"| {variant.group} | {variant.name} | {mean:.2f} | {deviation:.2f} | {training:.2f} | {len(mine)} |")
        names.append(f"{variant.group}: {variant.name}")
        means.append(mean)
        deviations.append(deviation)
        trainings.append(training)
    figure, axes = plt.subplots(figsize=(9, 2 + 0.2 * len(names)), layout="constrained")
    places = range(len(names))
    axes.errorbar(means, places, xerr=deviations, fmt="o", color="C0", label="held out")
    axes.plot(trainings, places, "D", color="C1", markerfacecolor="none", label="last epoch's training")
    axes.axvline(means[0], color="C0", linestyle=":", label=f"{names[0]}, held out")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set(xlabel="error (%)", title=f"FashionMNIST, budget {budget.name}", xscale="log")
    plain_ticks(axes.xaxis)
    axes.grid(alpha=0.3)
    axes.legend()
    table = "\n".join(lines)
    page.write(path, table, figure)
    return table


STUDY = Study("fashion", BUDGETS, cells, report, partial=True)
