"""Table II: test and training error of every system on MNIST and FashionMNIST, the paper's figure beside ours.

Variants are those of `paper.systems.own` and `cited`. A budget that shortens one says so in its name: `table-1 short`
has Table I's constants but for the steps and the batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from paper.systems.compiled import differentiable
from paper.systems.configuration import Configuration
from paper.systems.configurations import table_two
from paper.systems.neuron import Dynamics
from paper.systems.own import SCALE_WIDTHS
from paper.systems.published import OWN_ROW, PUBLISHED, Published
from paper.systems.train import SystemRun, Tell, silent, test_error, train
from paper.systems.variants import FALLING

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study, images, plain

#: Parts of a run whose training errors make its curve, where the test images aren't tried after each epoch.
PARTS = 8

#: What the name of a variant ends with that a budget shortens.
SHORT = " short"

#: Epochs of the budget `scale`: by name, else by rule of what is tuned, else by variant.
SCALE_EPOCHS = {
    "tuned ep": 20,
    "tuned bptt": 10,
    "oconnor-1fc": 25,
    "oconnor-3fc": 30,
    "eqspike-1fc": 25,
    "ernoult-2c1fc": 10,
    # as far as it takes to see whether they learn
    "table-1-annealed": 5,
    "table-1": 1,
}

#: The largest move of any xi in a step after which a sample's free phase ends there, of a configuration that stands still long
#: before its own 200 steps in most samples, but not in all (docs/log/2026-11-28-scale.md): a few of float32's last bits.
SCALE_STILL = {"ernoult-2c1fc": 1e-6}

#: Data sets by their names in a table.
BOTH = {"mnist": "mnist", "fashion-mnist": "fashion-mnist"}

#: At the published widths, with the published batches and steps.
WHOLE = {"narrow": 1, "samples": 60000, "epochs": None, "tested": 10000, "batch": None, "steps": None}

#: The same, cut to what ends in minutes.
SHORT_RUNS = {"narrow": 16, "samples": 1000, "epochs": 3, "tested": 1000, "batch": 20, "steps": 60}

#: narrow: published widths are divided by it. widths: of the 2C2FC instead. epochs, batch: None is what the configuration has,
#: else batches are at most this large. steps: longest free phase, to end in time; None for none. still: of `Dynamics`, by name.
#: fall: what the last epoch's rates are of the first's, about, of the variants whose rates fall. engine: where it is possible.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        SHORT_RUNS | {"data": {"mnist": "embedded"}, "samples": 400, "tested": 200, "steps": 48},
        threads=1,
    ),
    Budget("cpu", 3, 2 * GIBIBYTE, SHORT_RUNS | {"data": BOTH}, threads=1),
    # only as far as two cores come
    Budget(
        "first",
        1,
        3 * GIBIBYTE,
        WHOLE | {"data": {"mnist": "mnist"}, "samples": 6000, "epochs": 1, "tested": 1000, "engine": "compiled"},
        threads=1,
    ),
    Budget(
        "scale",
        3,
        3 * GIBIBYTE,
        WHOLE
        | {"data": BOTH, "widths": SCALE_WIDTHS, "epochs": SCALE_EPOCHS, "still": SCALE_STILL}
        | {"fall": 0.1, "engine": "compiled"},
        threads=1,
    ),
    Budget("paper", 5, 10 * GIBIBYTE, WHOLE | {"data": BOTH}),
)


def configurations(budget: Budget, data: str) -> list[Configuration]:
    """Table II within the budget: widths, steps of the free phase, images of a batch, epochs; cited works' rates fall, or are
    tuned, where the budget has fewer epochs than the work."""
    values = budget.values
    known = table_two(data, values["narrow"], values.get("widths"))
    falling = [c for c in known if c.row != OWN_ROW and c.variant.startswith(FALLING)]
    return [shortened(c, budget) for c in known if "fall" in values or c not in falling]


def shortened(c: Configuration, budget: Budget) -> Configuration:
    """The configuration within the budget. What is no longer as published has another name."""
    values = budget.values
    steps, batch, dynamics = values["steps"], c.batch, c.dynamics
    if steps is not None and dynamics.free > steps:
        dynamics = replace(dynamics, free=steps, nudged=min(dynamics.nudged, max(steps // 2, 16)))
    if values["batch"] is not None:
        batch = min(batch, values["batch"])
    still = values.get("still", {}).get(c.name)
    changed = not c.variant.startswith("tuned") and (dynamics, batch) != (c.dynamics, c.batch)
    variant = c.variant + SHORT if changed else c.variant
    epochs = c.epochs if values["epochs"] is None else values["epochs"]
    if isinstance(epochs, dict):
        known = (c.name, f"{c.variant.split()[0]} {c.rule}", c.variant)
        epochs = next(epochs[name] for name in known if name in epochs)
    decay = values["fall"] ** (1 / epochs) if "fall" in values and c.variant.startswith(FALLING) else c.decay
    if still is not None:
        dynamics = replace(dynamics, still=still)
    return replace(c, variant=variant, dynamics=dynamics, batch=batch, epochs=epochs, decay=decay)


def the_run(c: Configuration, budget: Budget, seed: int) -> SystemRun:
    """How the budget trains a configuration that is within it."""
    values = budget.values
    whole = isinstance(values["epochs"], dict)
    possible = c.rule == "ep" or (isinstance(c.dynamics, Dynamics) and differentiable(c.network, c.dynamics))
    engine = values.get("engine", "torch") if possible else "torch"
    return SystemRun(
        c,
        values["samples"],
        c.epochs,
        seed,
        values["tested"],
        values["device"],
        c.epochs if whole else PARTS,
        engine,
        every_epoch=whole,
    )


def measure(
    run: SystemRun, data: str, data_dir: Path | None, checkpoint: Path | None = None, tell: Tell = silent
) -> dict[str, float]:
    """Test error, training error in the last part of the run, processor time, and the curves."""
    known = images(data, data_dir)
    trained = train(run, known, checkpoint, tell)
    wrong = trained.tests[-1] if trained.tests else test_error(run, trained.parameters, known)
    figures = {"test_percent": wrong, "train_percent": trained.training[-1], "hours": trained.seconds / 3600}
    parts = {f"part_{n}": x for n, x in enumerate(trained.training, start=1)}
    return figures | parts | {f"test_{n}": x for n, x in enumerate(trained.tests, start=1)}


def facts(run: SystemRun) -> dict[str, Any]:
    """A run as plain data, but for what doesn't change its result."""
    known = {name: value for name, value in plain(run).items() if name not in ("device", "every_epoch")}
    del known["configuration"]["why"]
    return known


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """One for each data set and configuration."""
    for name, source in budget.values["data"].items():
        for c in configurations(budget, name):
            run = the_run(c, budget, seed)
            labels = {"data": name, "system": c.name, "variant": c.variant}
            yield Cell(labels, seed, facts(run), partial(measure, run, source, data_dir), long=True)


def published(rows: list[Row]) -> Published:
    """The paper's figures."""
    return PUBLISHED[rows[0]["data"]][rows[0]["system"]]


def with_deviation(mean: float | None, deviation: float | None) -> str:
    """As Table II has it."""
    if mean is None:
        return "-"
    return f"{mean:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")


def curve(row: Row, kind: str) -> list[float]:
    """Errors of one seed: of the "part"s of its run, or its "test" errors, where these were tried."""
    return [float(row[f"{kind}_{n}"]) for n in range(1, len(row)) if f"{kind}_{n}" in row]


COLUMNS = [
    page.Column("test (%)", "test_percent"),
    page.Column("training (%)", "train_percent"),
    page.Column("hours", "hours", 3),
    page.Column("paper: test", lambda rows: with_deviation(published(rows).test, published(rows).deviation)),
    page.Column("paper: training", lambda rows: with_deviation(published(rows).train, published(rows).train_deviation)),
]

#: What the numbers of a curve are called in a row, and of a panel.
KINDS = {"part": "training error before learning (%)", "test": "test error (%)"}


def picture(rows: list[Row]) -> Figure:
    """Learning curves: a line of panels for each data set, and for the works that the paper cites; behind those of
    tests the paper's figures."""
    own = {c.name for c in table_two("mnist") if c.row == OWN_ROW}
    grid: dict[tuple[str, bool], dict[str, list[page.Curve]]] = {}
    for row in rows:
        data, name = row["data"], row["system"]
        panels = grid.setdefault((data, name in own), {})
        for kind, what in KINDS.items():
            errors = curve(row, kind)
            if not errors:
                continue
            lines = panels.setdefault(f"{data}, {OWN_ROW if name in own else 'cited works'}: {what}", [])
            lines.append((f"{name}, {row['variant']}", range(1, len(errors) + 1), errors))
            if kind == "test":
                lines.append((f"{name}, the paper's", [len(errors) + 1], [PUBLISHED[data][name].test]))
    return page.curves(list(grid.values()), "epoch, or part of the run")


def intro(budget: Budget) -> str:
    """What was trained."""
    values = budget.values
    widths = values.get("widths")
    epochs = str(values["epochs"] or "as published").strip("{}").replace("'", "")
    return (
        f"Budget {budget.name}: "
        + (f"2C2FC of {'-'.join(map(str, widths))}, others' " if widths else "")
        + f"widths over {values['narrow']}, {values['samples']} samples an epoch, {values['tested']} test images. "
        f"Epochs: {epochs}. Hours are processor time of one thread. "
        f"`nudge repro table2 --budget {budget.name} --only SYSTEM,VARIANT` adds a line."
    )


STUDY = Study("table2", BUDGETS, seed_cells, page.report(intro, COLUMNS, picture), partial=True, devices=True)
