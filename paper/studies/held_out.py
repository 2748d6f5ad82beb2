"""Studies of networks of the contract: rows that train alike but for one change; errors on held-out training images.

Choices are made by these errors, never by the test set.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from golden.contract.presets import PRESETS
from golden.contract.schedule import Schedule
from golden.contract.shapes import Conv, Dense, Input
from golden.contract.spec import Spec
from golden.model.fixed import FixedModel
from golden.model.parameters import initial, mean
from golden.training.commits import commits
from golden.training.data import Data
from golden.training.plan import Plan

from . import page
from .backprop import Backprop
from .page import Column
from .study import Budget, Cell, Study, images

#: The presets' schedule before the order "odd-even", with which most studies were made.
AT_ONCE = Schedule(32, 16)

#: Values of the budgets `quick` and `cpu` of studies of the learning rule on digits. held_out: how many of the training
#: images, the last ones.
QUICK = {"data": "embedded", "samples": 750, "held_out": 250, "epochs": 8, "decay": 0.8}
CPU = {"data": "mnist", "samples": 30000, "held_out": 5000, "epochs": 4, "decay": 0.6}

#: What settings are studied on: `small` with the 64 hidden units that it had when they were chosen.
STUDIED = replace(PRESETS["small"], stages=(Conv(8), Conv(16), Dense(64), Dense(10)), schedule=AT_ONCE)

#: `medium` as it was then.
STUDIED_MEDIUM = replace(
    PRESETS["medium"], stages=(Conv(16), Conv(32), Dense(64), Dense(10)), schedule=AT_ONCE
)

#: `tiny` as it was then.
STUDIED_TINY = replace(PRESETS["tiny"], schedule=Schedule(12, 8))

#: `large` and `wide` as they were then.
STUDIED_LARGE, STUDIED_WIDE = (replace(PRESETS[name], schedule=AT_ONCE) for name in ("large", "wide"))


@dataclass(frozen=True)
class Trial:
    """A row."""

    labels: dict[str, str]
    spec: Spec
    #: Options of the plan that differ from the budget's; `lr_scale` multiplies it.
    plan: dict[str, Any] = field(default_factory=dict)
    #: Instead of equilibrium propagation.
    backprop: Backprop | None = None


def plan_facts(plan: Plan) -> dict[str, Any]:
    """A plan as plain data. Without a mean of weights and held-out images it is as it was before there were any: tables keep
    their rows."""
    facts = asdict(plan) | {"data": str(plan.data)}
    return {
        name: value for name, value in facts.items() if (name, value) not in (("average", 1), ("held_out", 0))
    }


def spec_facts(spec: Spec) -> dict[str, Any]:
    """A network as plain data. For grey images of 28x28 in 10 classes, with all layers at once, one lambda, full feedback and
    spikes of one size it is as it was before there were others."""
    facts = asdict(spec)
    del facts["lanes"]  # they change no result
    if spec.input == Input():
        del facts["input"]
    if spec.schedule.order == "all":
        del facts["schedule"]["order"]
    for name in ("halvings", "feedback_shift", "fine", "centred"):
        if not facts["schedule"][name]:
            del facts["schedule"][name]
    return facts


def facts(trial: Trial, plan: Plan, held_out: int) -> Any:
    """All that fixes a trial's result, as plain data."""
    return [plan_facts(plan), spec_facts(trial.spec), held_out]


def by_equilibrium_propagation(spec: Spec, plan: Plan, held_out: int, images: Data) -> dict[str, float]:
    """Error in percent of the fixed-point model on the last `held_out` training images, and on what it last trained on.

    error_percent: held out. training_percent: of the last epoch, each sample as it was before it was learned.
    """
    model = FixedModel(spec, parameters=initial(spec, plan.seed))
    wrong = done = 0
    kept = []
    for commit in commits(plan, spec, model, images):
        done += len(commit.numbers)
        wrong += commit.errors if commit.epoch == plan.epochs - 1 else 0
        if done % plan.samples == 0 and commit.epoch >= plan.epochs - plan.average:
            kept.append(model.parameters)
    model.load(mean(kept))
    missed = model.infer(images.train_images[-held_out:]) != images.train_labels[-held_out:].numpy()
    return {
        "error_percent": 100 * float(missed.mean()),
        "training_percent": 100 * wrong / plan.samples,
    }


def measure(trial: Trial, plan: Plan, held_out: int, data: str, data_dir: Path | None) -> dict[str, float]:
    """A cell's figures."""
    train = trial.backprop.error if trial.backprop else by_equilibrium_propagation
    return train(trial.spec, plan, held_out, images(data, data_dir))


def study(
    name: str,
    budgets: tuple[Budget, ...],
    trials: Callable[[Budget], Iterable[Trial]],
    intro: str,
    columns: tuple[Column, ...] = (),
    facts: Callable[[Trial, Plan, int], Any] = facts,
) -> Study:
    """One that measures these rows. intro: what is written before the facts of the budget; columns: before the errors."""

    def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterable[Cell]:
        for trial in trials(budget):
            values = budget.values | trial.plan
            data, samples, held_out = (values.pop(name) for name in ("data", "samples", "held_out"))
            values["lr_scale"] = budget.values.get("lr_scale", 1.0) * trial.plan.get("lr_scale", 1.0)
            plan = Plan.of(trial.spec, data, samples, seed=seed, **values)
            run = partial(measure, trial, plan, held_out, data, data_dir)
            yield Cell(trial.labels, seed, facts(trial, plan, held_out), run)

    def told(budget: Budget) -> str:
        values = budget.values
        return (
            f"{intro} Budget {budget.name}: {values['samples']} training images ({values['data']}), {values['epochs']} epochs. "
            f"Errors in percent on {values['held_out']} other training images and in the last epoch's training; mean and "
            "deviation over seeds."
        )

    both = Column("held out", "error_percent"), Column("training", "training_percent")
    picture = page.dots(
        {"error (%)": {"held out": "error_percent", "last epoch's training": "training_percent"}}
    )
    return Study(name, budgets, seed_cells, page.report(told, (*columns, *both), picture), partial=True)
