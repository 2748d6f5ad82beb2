"""Studies of networks of the contract: rows that differ in one change; errors on held-out training images.

Settings are chosen by these errors, never by the test set.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import FLAGS, Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Spec
from nudge.golden.training.data import Data, folder_of
from nudge.golden.training.plan import Plan
from nudge.paper.tables import page
from nudge.paper.tables.page import Column
from nudge.paper.tables.study import Budget, Cell, Study, images

from .recipe import Recipe

#: The presets' schedule before the order "odd-even"; most studies use it.
AT_ONCE = Schedule(32, 16)

#: Values of the budgets `quick` and `cpu` of studies of the learning rule on digits. held_out: number of
#: training images that are held out, the last ones.
QUICK = {"data": "embedded", "samples": 750, "held_out": 250, "epochs": 8, "decay": 0.8}
CPU = {"data": "mnist", "samples": 30000, "held_out": 5000, "epochs": 4, "decay": 0.6}

#: The network on which settings are studied: `small` with the 64 hidden units that it had at that time.
STUDIED = replace(PRESETS["small"], stages=(Conv(8), Conv(16), Dense(64), Dense(10)), schedule=AT_ONCE)

#: `medium` as it was at that time.
STUDIED_MEDIUM = replace(
    PRESETS["medium"], stages=(Conv(16), Conv(32), Dense(64), Dense(10)), schedule=AT_ONCE
)

#: `tiny` as it was at that time.
STUDIED_TINY = replace(PRESETS["tiny"], schedule=Schedule(12, 8))

#: `large` and `wide` as they were at that time.
STUDIED_LARGE, STUDIED_WIDE = (replace(PRESETS[name], schedule=AT_ONCE) for name in ("large", "wide"))


class Rule(Protocol):
    """A learning rule."""

    def error(self, spec: Spec, plan: Plan, held_out: int, images: Data) -> dict[str, float]:
        """Train; return the figures of `Recipe.error`."""


@dataclass(frozen=True)
class Trial:
    """A row of a study."""

    labels: dict[str, str]
    spec: Spec
    #: Options of the plan that replace the budget's; `lr_scale` multiplies the budget's.
    plan: dict[str, Any] = field(default_factory=dict)
    #: Another learning rule than plain equilibrium propagation.
    rule: Rule | None = None


#: Options that schedules and learning rules got after the first committed tables.
LATER = {
    "schedule": ("order", "halvings", "feedback_shift", "fine", *FLAGS),
    "learning": ("initial_means", "image_gain"),
}


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data, without the later options `average` and `held_out` at their defaults:
    fingerprints stay the same, and tables keep their rows. The folder of the data doesn't count."""
    facts = asdict(plan) | {"data": Path(str(plan.data)).name}
    return {
        name: value for name, value in facts.items() if (name, value) not in (("average", 1), ("held_out", 0))
    }


def spec_facts(spec: Spec) -> dict[str, Any]:
    """Return a network as plain data, without later options at their original values, so that fingerprints
    stay the same: grey 28x28 images in 10 classes, no padding, and those of `LATER` at their defaults."""
    facts = asdict(spec)
    del facts["lanes"]  # they change no result
    for stage in facts["stages"]:
        if not stage.get("padding", 1):
            del stage["padding"]
    if spec.input == Input():
        del facts["input"]
    for part, names in LATER.items():
        for name in names:
            if facts[part][name] == getattr(type(getattr(spec, part)), name):
                del facts[part][name]
    return facts


def facts(trial: Trial, plan: Plan, held_out: int) -> Any:
    """Return everything that determines a trial's result, as plain data."""
    return [plan_facts(plan), spec_facts(trial.spec), held_out]


def measure(trial: Trial, plan: Plan, held_out: int, data: str, data_dir: Path | None) -> dict[str, float]:
    """Train a trial by its learning rule and return its figures."""
    return (trial.rule or Recipe()).error(
        trial.spec, plan, held_out, images(data, data_dir, trial.spec.input)
    )


def study(
    name: str,
    budgets: tuple[Budget, ...],
    trials: Callable[[Budget], Iterable[Trial]],
    intro: str,
    columns: tuple[Column, ...] = (),
    facts: Callable[[Trial, Plan, int], Any] = facts,
) -> Study:
    """Return a study that measures these trials.

    intro: text above the table, before the budget's description. columns: columns before the errors. facts:
    returns everything that determines a trial's result.
    """

    def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterable[Cell]:
        for trial in trials(budget):
            values = budget.values | trial.plan
            data, samples, held_out = (values.pop(name) for name in ("data", "samples", "held_out"))
            if data.endswith(".npz"):
                data = str((folder_of(data_dir) or Path()) / data)
            values["lr_scale"] = budget.values.get("lr_scale", 1.0) * trial.plan.get("lr_scale", 1.0)
            plan = Plan.of(trial.spec, data, samples, seed=seed, **values)
            run = partial(measure, trial, plan, held_out, data, data_dir)
            yield Cell(trial.labels, seed, facts(trial, plan, held_out), run)

    def told(budget: Budget) -> str:
        values = budget.values
        return (
            f"{intro} Budget {budget.name}: {values['samples']} training images ({values['data']}), "
            f"{values['epochs']} epochs. Errors in percent on {values['held_out']} other training images and "
            "in the last epoch's training; mean and deviation over seeds."
        )

    both = Column("held out", "error_percent"), Column("training", "training_percent")
    picture = page.dots(
        {"error (%)": {"held out": "error_percent", "last epoch's training": "training_percent"}}
    )
    return Study(name, budgets, seed_cells, page.report(told, (*columns, *both), picture), partial=True)
