"""Constants of the paper's four systems, chosen on held-out training images by one change per row.

Every system starts from the same constants, so that none is tuned with more effort than another. The result
is the variant "tuned" in `paper.systems.own`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import SCALE_WIDTHS, starts
from nudge.paper.systems.published import PUBLISHED
from nudge.paper.systems.train import SystemRun, error, train
from nudge.paper.systems.variants import changed
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Study, images, plain

#: held_out: number of training images that are held out, the last ones.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "widths": (8, 16, 32), "samples": 200, "held_out": 100, "epochs": 1},
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


SYSTEMS = tuple(PUBLISHED["fashion-mnist"])


def changes(c: Configuration) -> Iterator[tuple[str, Configuration]]:
    """Yield the rows of one system: (name of the change, changed configuration)."""
    first, *others = c.rates
    yield "none", c
    for factor in (1 / 4, 1 / 2, 2, 4):
        yield f"rates x {factor:g}", changed(c, c.variant, "", factor)
    for factor in (1 / 2, 2):
        yield (
            f"rates but the first x {factor:g}",
            replace(c, rates=(first, *(factor * rate for rate in others))),
        )
    for gain in (1.5, 2.0):
        yield f"gain {gain:g}", replace(c, gain=gain)
    yield "batch 32", replace(c, batch=32)
    assert isinstance(c.dynamics, Dynamics)
    window = c.dynamics.window if c.dynamics.window == 1 else 2 * c.dynamics.window
    longer = replace(c.dynamics, free=2 * c.dynamics.free, nudged=2 * c.dynamics.nudged, window=window)
    yield "T 32/16", replace(c, dynamics=longer)
    yield "T 32/16, all layers at once", replace(c, dynamics=replace(longer, order="all"))


def measure(run: SystemRun, held_out: int, data: str, data_dir: Path | None) -> dict[str, float]:
    """Train, and return held-out error and training error of the last part of the run, in percent."""
    known = images(data, data_dir)
    trained = train(run, known)
    wrong = error(run, trained.parameters, known.train_images[-held_out:], known.train_labels[-held_out:])
    return {"error_percent": wrong, "training_percent": trained.training[-1]}


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each system and change."""
    values = budget.values
    tried = values["held_out"], values["data"]
    for start in starts(values["widths"]):
        for change, c in changes(start):
            run = SystemRun(
                c, values["samples"], values["epochs"], seed, engine="compiled" if c.rule == "ep" else "torch"
            )
            labels = {"system": c.name, "change": change}
            yield Cell(labels, seed, [plain(run), *reversed(tried)], partial(measure, run, *tried, data_dir))


def intro(budget: Budget) -> str:
    """Return the text above the table: the constants that all rows share."""
    values, start = budget.values, starts(budget.values["widths"])[0]
    return (
        f"Widths {'-'.join(map(str, values['widths']))}, {values['data']}, {values['samples']} training "
        f"images, {values['epochs']} epoch: error in percent on {values['held_out']} other training images, "
        "mean and deviation over seeds. Each row changes one thing of the first: rates "
        f"{', '.join(f'{rate:.3g}' for rate in start.rates)}, batch {start.batch}, gain {start.gain:g}, T "
        f"{start.dynamics.free}/{start.dynamics.nudged}."
    )


STUDY = Study(
    "tuning",
    BUDGETS,
    seed_cells,
    page.report(
        intro,
        [page.Column(name, name) for name in SYSTEMS],
        page.dots({"held-out error (%)": {name: name for name in SYSTEMS}}),
        pivot=("system", "error_percent"),
    ),
    partial=True,
)
