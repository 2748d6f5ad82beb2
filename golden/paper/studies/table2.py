"""Table II: test and training error of every system on MNIST and FashionMNIST, the paper's figure beside ours.

Variants are those of `golden.paper.systems.configurations`: `paper` as published, `tuned` where that doesn't learn well.
Budgets other than `paper` train narrower networks on fewer samples, so that they end in time: their errors say which
systems learn and in which order, not what the published widths reach.
"""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from matplotlib import pyplot as plt

from golden.paper.systems.configurations import PUBLISHED, Configuration, table_two
from golden.paper.systems.train import SystemRun, error, train
from golden.training import data as datasets
from golden.training.data import Data

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study

#: Parts of a run whose training errors make its curve.
PARTS = 8

#: narrow: widths are the published ones divided by it. epochs, batch: None is what the configuration has, else batches are at
#: most this large. steps: longest free phase, to end in time; None for none.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": {"mnist": "embedded"}, "narrow": 16, "samples": 400, "epochs": 3, "tested": 200, "batch": 20, "steps": 48},
        threads=1,
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {
            "data": {"mnist": "mnist", "fashion-mnist": "fashion-mnist"},
            "narrow": 16,
            "samples": 1000,
            "epochs": 3,
            "tested": 1000,
            "batch": 20,
            "steps": 60,
        },
        threads=1,
    ),
    # the published widths and constants, but only as far as two cores come
    Budget(
        "first",
        1,
        3 * GIBIBYTE,
        {
            "data": {"mnist": "mnist"},
            "narrow": 1,
            "samples": 6000,
            "epochs": 1,
            "tested": 1000,
            "batch": None,
            "steps": None,
        },
        threads=1,
    ),
    Budget(
        "paper",
        5,
        10 * GIBIBYTE,
        {
            "data": {"mnist": "mnist", "fashion-mnist": "fashion-mnist"},
            "narrow": 1,
            "samples": 60000,
            "epochs": None,
            "tested": 10000,
            "batch": None,
            "steps": None,
        },
    ),
)


def shortened(c: Configuration, budget: Budget) -> Configuration:
    """The configuration within the budget: steps of the free phase, images of a batch, epochs."""
    values = budget.values
    steps, dynamics = values["steps"], c.dynamics
    if steps is not None and dynamics.free > steps:
        dynamics = replace(dynamics, free=steps, nudged=min(dynamics.nudged, max(steps // 2, 16)))
    batch = c.batch if values["batch"] is None else min(c.batch, values["batch"])
    epochs = c.epochs if values["epochs"] is None else values["epochs"]
    return replace(c, dynamics=dynamics, batch=batch, epochs=epochs)


def measure(run: SystemRun, images: Data, checkpoint: Path | None = None) -> dict[str, float]:
    """Test error, training error in the last part of the run, and the curve of all parts."""
    parameters, curve = train(run, images, checkpoint)
    wrong = error(run, parameters, images.test_images[: run.tested], images.test_labels[: run.tested])
    return {"test_percent": wrong, "train_percent": curve[-1]} | {f"part_{n}": x for n, x in enumerate(curve, start=1)}


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """One for each data set, configuration and seed; the first seed of all comes first."""
    values, made = budget.values, []
    sets = {name: datasets.load(source, data_dir) for name, source in values["data"].items()}
    for seed in range(1, seeds + 1):
        for name, images in sets.items():
            for c in table_two(name, values["narrow"]):
                c = shortened(c, budget)
                run = SystemRun(c, values["samples"], c.epochs, seed, values["tested"], values["device"], PARTS)
                facts = asdict(run)
                del facts["device"]
                if run.engine == "torch":  # as before there was another
                    del facts["engine"]
                labels = {"data": name, "system": c.name, "variant": c.variant}
                made.append(Cell(labels, seed, facts, partial(measure, run, images), long=True))
    return made


def published(data: str, name: str) -> tuple[str, str]:
    """Test and training error of Table II."""
    of = PUBLISHED[data][name]
    test = f"{of.test:.2f}" + (f" ± {of.deviation:.2f}" if of.deviation is not None else "")
    if of.train is None:
        return test, "-"
    return test, f"{of.train:.2f}" + (f" ± {of.train_deviation:.2f}" if of.train_deviation is not None else "")


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Ours beside the paper's; a curve for each system."""
    values = budget.values
    lines = []
    figure, panels = plt.subplots(
        1, len(values["data"]), figsize=(8 * len(values["data"]), 6), layout="constrained", squeeze=False
    )
    for axes, data in zip(panels[0], values["data"], strict=True):
        for c in table_two(data, values["narrow"]):
            mine = page.select(rows, data=data, system=c.name, variant=c.variant)
            test, training = published(data, c.name)
            ours = page.both(mine, "test_percent"), page.both(mine, "train_percent")
            lines.append([f"{data}: {c.row} {c.name}, {c.variant}", *ours, str(len(mine)), test, training])
            if mine:
                curve = [page.mean(mine, f"part_{n}") for n in range(1, PARTS + 1)]
                axes.plot(range(1, PARTS + 1), curve, "o-" if c.variant == "paper" else "s--", label=f"{c.name}, {c.variant}")
        axes.set(xlabel=f"part of the run, of {PARTS}", ylabel="training error (%)", title=f"{data}, budget {budget.name}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    header = ["data, row, system, variant", "test (%)", "training (%)", "seeds", "paper: test", "paper: training"]
    epochs = "each configuration's" if values["epochs"] is None else values["epochs"]
    intro = (
        f"Budget {budget.name}: widths over {values['narrow']}, {values['samples']} samples x {epochs} epochs, "
        f"{values['tested']} test images. Where a line has no figure: "
        f"`nudge repro table2 --budget {budget.name} --only SYSTEM`, added to this table."
    )
    text = f"{intro}\n\n{page.table(header, lines)}"
    page.write(path, text, figure)
    return text


STUDY = Study("table2", BUDGETS, cells, report, partial=True, devices=True)
