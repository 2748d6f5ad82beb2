"""How layers take turns, and for how many steps: error of `small` for each order, T and M; then the rates at one of them.

Each row of the second part changes one quantity of `VARIED`. Errors are of training images that were held out: a schedule is
chosen by them, so the test set must not be asked. A seed that ends well behind its row's others disqualifies a
schedule, so the worst is shown beside the mean.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from golden.contract.presets import PRESETS
from golden.contract.schedule import Schedule
from golden.contract.spec import Spec
from golden.training import data as datasets
from golden.training.plan import Plan

from . import page
from .held_out import CPU, QUICK, by_equilibrium_propagation, plan_facts, spec_facts
from .study import GIBIBYTE, Budget, Cell, Row, Study

#: held_out: how many of the training images, the last ones. The last epoch's rates are a fifth of the first's; in `long`,
#: which trains as presets are trained, a twentieth.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, QUICK),
    Budget("cpu", 3, 2 * GIBIBYTE, CPU),
    Budget(
        "long",
        3,
        2 * GIBIBYTE,
        {"data": "mnist", "samples": 55000, "held_out": 5000, "epochs": 30, "decay": 0.9, "shift": 1, "lr_scale": 0.7},
    ),
)


@dataclass(frozen=True)
class Trial:
    """A row of the table."""

    order: str
    #: T of the free and of each nudged phase.
    free: int
    nudged: int
    #: Steps that xi is averaged over.
    window: int
    #: The quantity that differs from `small`'s, and its value; "" for none.
    quantity: str = ""
    value: float = 1.0

    @property
    def spec(self) -> Spec:
        """`small` so."""
        base = PRESETS["small"]
        schedule = Schedule(self.free, self.nudged, self.window.bit_length() - 1, base.schedule.decay_shift, self.order)
        learning = replace(base.learning, gain=self.value) if self.quantity == "gain" else base.learning
        return replace(base, schedule=schedule, learning=learning)

    def plan(self, values: dict[str, Any], seed: int) -> Plan:
        """Its training."""
        values = dict(values)
        if self.quantity == "rates":
            values["lr_scale"] = self.value * values.get("lr_scale", 1.0)
        elif self.quantity == "beta":
            values["beta"] = self.value
        return Plan.of(self.spec, values.pop("data"), values.pop("samples"), seed=seed, **values)

    @property
    def labels(self) -> dict[str, str]:
        """Its columns."""
        change = f"{self.quantity} {self.value:g}" if self.quantity else "none"
        return {"order": self.order, "T": f"{self.free}/{self.nudged}", "M": str(self.window), "change": change}


#: What the rest of the table is compared with.
TODAY = Trial("all", 32, 16, 8)

#: (T free, T nudged, M) of the order "odd-even".
SWEEPS = (
    (32, 16, 8),
    *((16, 8, window) for window in (2, 4, 8)),
    *((free, nudged, window) for free, nudged in ((12, 6), (10, 6), (12, 4), (8, 4)) for window in (2, 4)),
)

#: The schedule that rates, beta and gain are tried at.
VARIED = Trial("odd-even", 16, 8, 4)

TRIALS = (
    TODAY,
    Trial("all", 16, 8, 4),
    Trial("all", 12, 6, 4),
    *(Trial("odd-even", *sweeps) for sweeps in SWEEPS),
    *(replace(VARIED, quantity="rates", value=value) for value in (0.5, 0.7, 1.4, 2.0)),
    *(replace(VARIED, quantity="beta", value=value) for value in (0.25, 0.75, 1.0)),
    *(replace(VARIED, quantity="gain", value=value) for value in (0.7, 1.4)),
)


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """A cell for each trial and seed."""
    values = dict(budget.values)
    held_out = values.pop("held_out")
    images = datasets.load(values["data"], data_dir)
    made = []
    for trial in TRIALS:
        for seed in range(1, seeds + 1):
            plan = trial.plan(values, seed)
            facts = [plan_facts(plan), spec_facts(trial.spec), held_out]
            train = partial(by_equilibrium_propagation, trial.spec, plan, held_out, images)
            made.append(Cell(trial.labels, seed, facts, train))
    return made


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Markdown table and PNG beside `path`; the table."""
    intro = (
        f"`small`, {budget.values['samples']} training images, {budget.values['epochs']} epochs: error in percent on "
        f"{budget.values['held_out']} other training images, mean and deviation over seeds, and the worst seed's."
    )
    lines = []
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for trial in TRIALS:
        mine = page.select(rows, **trial.labels)
        if not mine:
            continue
        errors = [float(row["error_percent"]) for row in mine]
        steps, labels = trial.free + 2 * trial.nudged, trial.labels
        varied = "varied below" if trial == VARIED else ""
        figures = [page.both(mine, "error_percent"), f"{max(errors):.2f}", page.both(mine, "training_percent"), str(len(mine))]
        lines.append([*labels.values(), str(steps), *figures, varied])
        if not trial.quantity:
            colour, mark = ("C0" if trial.order == "all" else "C1"), {2: "v", 4: "o", 8: "s"}[trial.window]
            name = f"{trial.order}, M {trial.window}"
            known = axes.get_legend_handles_labels()[1]
            axes.plot([steps] * len(errors), errors, mark, color=colour, alpha=0.8, label="" if name in known else name)
    axes.set(xlabel="steps or sweeps of a training sample", ylabel="held-out error of each seed (%)")
    axes.set_title(f"budget {budget.name}")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    header = ["order", "T free/nudged", "M", "change", "steps", "held out", "worst", "training", "seeds", ""]
    text = f"{intro}\n\n{page.table(header, lines)}"
    page.write(path, text, figure)
    return text


STUDY = Study("schedule", BUDGETS, cells, report, partial=True)
