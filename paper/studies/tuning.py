"""Constants of the paper's four systems, chosen on held-out training images: one change a row, the same rows for each system.

Every system begins at the same constants, so that none is tuned with more effort than another. What the table says is
written into `paper.systems.own`, as the variant "tuned".
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib import pyplot as plt

from golden.training import data as datasets
from golden.training.data import Data
from paper.systems.configuration import Configuration
from paper.systems.neuron import Dynamics
from paper.systems.own import SCALE_WIDTHS, starts
from paper.systems.train import SystemRun, error, train
from plumbing.axes import logarithmic

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study, plain

#: held_out: how many of the training images, the last ones.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "widths": (8, 16, 32), "samples": 200, "held_out": 100, "epochs": 1},
        threads=1,
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {"data": "mnist", "widths": (8, 16, 32), "samples": 10000, "held_out": 5000, "epochs": 1},
        threads=1,
    ),
    Budget(
        "scale",
        2,
        2 * GIBIBYTE,
        {"data": "mnist", "widths": SCALE_WIDTHS, "samples": 12000, "held_out": 5000, "epochs": 1},
        threads=1,
    ),
)


def scaled(c: Configuration, first: float, others: float) -> Configuration:
    """With the first layer's rate, and all others', times a factor."""
    return replace(c, rates=(first * c.rates[0], *(others * rate for rate in c.rates[1:])))


def changes(c: Configuration) -> Iterator[tuple[str, Configuration]]:
    """Rows of one system: what is changed, and the result."""
    yield "none", c
    for factor in (1 / 4, 1 / 2, 2, 4):
        yield f"rates x {factor:g}", scaled(c, factor, factor)
    for factor in (1 / 2, 2):
        yield f"rates but the first x {factor:g}", scaled(c, 1, factor)
    for gain in (1.5, 2.0):
        yield f"gain {gain:g}", replace(c, gain=gain)
    yield "batch 32", replace(c, batch=32)
    assert isinstance(c.dynamics, Dynamics)
    window = c.dynamics.window if c.dynamics.window == 1 else 2 * c.dynamics.window
    longer = replace(c.dynamics, free=2 * c.dynamics.free, nudged=2 * c.dynamics.nudged, window=window)
    yield "T 32/16", replace(c, dynamics=longer)
    yield "T 32/16, all layers at once", replace(c, dynamics=replace(longer, order="all"))


def measure(run: SystemRun, images: Data, held_out: int) -> dict[str, float]:
    """Error in percent on the last images, which aren't trained on, and in the last part of the run."""
    trained = train(run, images)
    wrong = error(run, trained.parameters, images.train_images[-held_out:], images.train_labels[-held_out:])
    return {"error_percent": wrong, "training_percent": trained.training[-1]}


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """One for each system, change and seed; the first seed of all comes first."""
    values = budget.values
    images = datasets.load(values["data"], data_dir)
    made = []
    for seed in range(1, seeds + 1):
        for start in starts(values["widths"]):
            for change, c in changes(start):
                run = SystemRun(c, values["samples"], values["epochs"], seed, engine="compiled" if c.rule == "ep" else "torch")
                facts = [plain(run), values["data"], values["held_out"]]
                labels = {"system": c.name, "change": change}
                made.append(Cell(labels, seed, facts, partial(measure, run, images, values["held_out"])))
    return made


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Held-out errors, a column for each system; the same as a picture."""
    values = budget.values
    systems = starts(values["widths"])
    names = [change for change, _ in changes(systems[0])]
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    chosen = {(c.name, change): page.select(rows, system=c.name, change=change) for c in systems for change in names}
    lines = [[change, *(page.both(chosen[c.name, change], "error_percent") for c in systems)] for change in names]
    for n, c in enumerate(systems):
        mine = page.select(rows, system=c.name)
        at = [names.index(row["change"]) + (n - 1.5) / 8 for row in mine]
        axes.plot(at, [float(row["error_percent"]) for row in mine], "o", color=page.COLOURS[c.name], alpha=0.7, label=c.name)
    logarithmic(axes)
    axes.set(ylabel="held-out error (%)", title=f"budget {budget.name}")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.legend()
    start = systems[0]
    assert isinstance(start.dynamics, Dynamics)
    intro = (
        f"Widths {'-'.join(map(str, values['widths']))}, {values['data']}, {values['samples']} training images, "
        f"{values['epochs']} epoch: error in percent on {values['held_out']} other training images, mean and deviation over "
        f"seeds. Each row changes one thing of the first: rates {', '.join(f'{rate:.3g}' for rate in start.rates)}, batch "
        f"{start.batch}, gain {start.gain:g}, T {start.dynamics.free}/{start.dynamics.nudged}."
    )
    text = f"{intro}\n\n{page.table(['change', *(c.name for c in systems)], lines)}"
    page.write(path, text, figure)
    return text


STUDY = Study("tuning", BUDGETS, cells, report, partial=True)
