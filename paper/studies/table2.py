"""Table II: test and training error of every system on MNIST and FashionMNIST, beside the paper's figures.

Variants are those of `paper.systems.own` and `cited`. A variant that a budget shortens has " short" in its
name: `table-1 short` has Table I's constants except for the number of steps and the batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nudge.paper.systems.compiled import differentiable
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import SCALE_WIDTHS
from nudge.paper.systems.published import OWN_ROW, PUBLISHED, Published
from nudge.paper.systems.train import SystemRun, Tell, silent, test_error, train
from nudge.paper.systems.variants import FALLING
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Row, Study, images, plain

#: Parts of a run whose training errors form its curve, unless the test error is measured after each epoch.
PARTS = 8

#: Suffix of the name of a variant that a budget shortens.
SHORT = " short"

#: Epochs in the budget `scale`, by system, else by "tuned" and learning rule, else by variant.
SCALE_EPOCHS = {
    "tuned ep": 20,
    "tuned bptt": 10,
    "oconnor-1fc": 25,
    "oconnor-3fc": 30,
    "eqspike-1fc": 25,
    "ernoult-2c1fc": 10,
    # enough to see whether they learn
    "table-1-annealed": 5,
    "table-1": 1,
}

#: `Dynamics.still` in the budget `scale`, a few of float32's last bits, for a system that settles long before
#: its own 200 steps in most samples but not in all (docs/log/2026-11-28-scale.md).
SCALE_STILL = {"ernoult-2c1fc": 1e-6}

#: Data sets by their names in a table.
BOTH = {"mnist": "mnist", "fashion-mnist": "fashion-mnist"}

#: Values of a budget with the published widths, batches and steps.
WHOLE = {"narrow": 1, "samples": 60000, "epochs": None, "tested": 10000, "batch": None, "steps": None}

#: Values of a budget that takes minutes.
SHORT_RUNS = {"narrow": 16, "samples": 1000, "epochs": 3, "tested": 1000, "batch": 20, "steps": 60}

#: narrow: divisor of the published widths. widths: those of 2C2FC instead. epochs: None for the
#: configuration's own. batch: maximum batch, None for no limit. steps: longest free phase, None for no limit.
#: still: `Dynamics.still`, by system. fall: approximate ratio of the last epoch's learning rates to the
#: first's, of variants whose rates fall. engine: of `train.ENGINES`, where it supports the system.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        SHORT_RUNS | {"data": {"mnist": "embedded"}, "samples": 400, "tested": 200, "steps": 48},
        threads=1,
    ),
    Budget("cpu", 3, 2 * GIBIBYTE, SHORT_RUNS | {"data": BOTH}, threads=1),
    # a tenth of the first epoch, as much as two cores can do
    Budget(
        "first",
        1,
        3 * GIBIBYTE,
        WHOLE
        | {"data": {"mnist": "mnist"}, "samples": 6000, "epochs": 1, "tested": 1000, "engine": "compiled"},
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
    """Return the configurations of Table II within the budget's widths, steps, batch and epochs.

    Variants of cited works with falling or tuned learning rates are included only in budgets with `fall`,
    which have fewer epochs than the works.
    """
    values = budget.values
    known = table_two(data, values["narrow"], values.get("widths"))
    falling = [c for c in known if c.row != OWN_ROW and c.variant.startswith(FALLING)]
    return [shortened(c, budget) for c in known if "fall" in values or c not in falling]


def shortened(c: Configuration, budget: Budget) -> Configuration:
    """Return the configuration within the budget; its variant gets `SHORT` if published constants change."""
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
    """Return the budget's run of a configuration from `shortened`."""
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
    """Train; return test error, training error of the last part of the run, processor time and curves."""
    known = images(data, data_dir)
    trained = train(run, known, checkpoint, tell)
    wrong = trained.tests[-1] if trained.tests else test_error(run, trained.parameters, known)
    figures = {"test_percent": wrong, "train_percent": trained.training[-1], "hours": trained.seconds / 3600}
    parts = {f"part_{n}": x for n, x in enumerate(trained.training, start=1)}
    return figures | parts | {f"test_{n}": x for n, x in enumerate(trained.tests, start=1)}


def facts(run: SystemRun) -> dict[str, Any]:
    """Return a run as plain data, without the settings that don't change its result."""
    known = {name: value for name, value in plain(run).items() if name not in ("device", "every_epoch")}
    del known["configuration"]["why"]
    return known


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each data set and configuration."""
    for name, source in budget.values["data"].items():
        for c in configurations(budget, name):
            run = the_run(c, budget, seed)
            labels = {"data": name, "system": c.name, "variant": c.variant}
            yield Cell(labels, seed, facts(run), partial(measure, run, source, data_dir), long=True)


def published(rows: list[Row]) -> Published:
    """Return the paper's figures for a row."""
    return PUBLISHED[rows[0]["data"]][rows[0]["system"]]


def with_deviation(mean: float | None, deviation: float | None) -> str:
    """Return "mean ± deviation" in the format of Table II, "-" without a mean."""
    if mean is None:
        return "-"
    return f"{mean:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")


def curve(row: Row, kind: str) -> list[float]:
    """Return one seed's errors: kind "part", of the parts of its run, or "test", after each epoch."""
    return [float(row[f"{kind}_{n}"]) for n in range(1, len(row)) if f"{kind}_{n}" in row]


COLUMNS = [
    page.Column("test (%)", "test_percent"),
    page.Column("training (%)", "train_percent"),
    page.Column("hours", "hours", 3),
    page.Column("paper: test", lambda rows: with_deviation(published(rows).test, published(rows).deviation)),
    page.Column(
        "paper: training", lambda rows: with_deviation(published(rows).train, published(rows).train_deviation)
    ),
]

#: Kinds of curves: prefix of the figures' names in a row, and title of the panel.
KINDS = {"part": "training error before learning (%)", "test": "test error (%)"}


def picture(rows: list[Row]) -> Figure:
    """Draw learning curves: a line of panels for each data set, own and cited systems apart; to the right of
    the test errors the paper's figures."""
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
    """Return the text above the table: widths, samples and epochs of the budget."""
    values = budget.values
    widths = values.get("widths")
    epochs = str(values["epochs"] or "as published").strip("{}").replace("'", "")
    return (
        f"Budget {budget.name}: "
        + (f"2C2FC of {'-'.join(map(str, widths))}, others' " if widths else "")
        + f"widths over {values['narrow']}, {values['samples']} samples an epoch, {values['tested']} test "
        f"images. Epochs: {epochs}. Hours are processor time of one thread. `nudge repro table2 --budget "
        f"{budget.name} --only SYSTEM,VARIANT` adds a line."
    )


STUDY = Study("table2", BUDGETS, seed_cells, page.report(intro, COLUMNS, picture), partial=True, devices=True)
