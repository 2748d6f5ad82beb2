"""What CIFAR-10 needs: the preset `cifar` with one change a row, and backpropagation in the same layers, also
in those of `cifar-wide` and `cifar-paper`.

Its data are `cifar10.npz` in the folder of the data sets (docs/cifar.md); `quick` scales the embedded digits
to colour images.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.spec import Spec
from nudge.golden.training.plan import Plan
from nudge.paper.tables.study import GIBIBYTE, Budget

from .backprop import Backprop
from .held_out import Rule, Trial, facts, study
from .recipe import Recipe

DATA = {"data": "cifar10.npz", "held_out": 5000, "flip": True, "lr_scale": 0.7}
LONG = DATA | {"samples": 45000, "average": 3}

BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "samples": 96, "held_out": 50, "epochs": 1, "flip": True},
        threads=1,
    ),
    Budget("cpu", 3, 2 * GIBIBYTE, DATA | {"samples": 15000, "epochs": 2, "decay": 0.5}, threads=1),
    Budget("scale", 1, 2 * GIBIBYTE, LONG | {"epochs": 12, "decay": 0.8}, threads=1),
    Budget("wide", 1, 2 * GIBIBYTE, LONG | {"epochs": 14, "lr_scale": 1.0, "decay": 0.85}, threads=1),
    Budget("paper", 1, 4 * GIBIBYTE, LONG | {"epochs": 10, "decay": 0.8}, threads=1),
)


def row(group: str, name: str, spec: Spec, rule: Rule, **plan: Any) -> Trial:
    """Return the trial of a variant. plan: options that differ from the budget's."""
    return Trial({"group": group, "variant": name}, spec, plan, rule)


def trials(budget: Budget) -> Iterator[Trial]:
    """Yield the rows: the preset and backpropagation; in short runs also those with one change.

    EP in the larger presets is a run of `nudge train` that docs/results.md has.
    """
    larger = f"cifar-{budget.name}"
    spec = PRESETS.get(larger, PRESETS["cifar"])
    ep, back = partial(row, "equilibrium propagation"), partial(row, "backpropagation")
    # `Backprop` doesn't read the plan's rates
    sgd = Backprop(
        "sgd", budget.values.get("lr_scale", 1.0), clipped_output=False, by_layer=True, centred=True
    )
    adam = Backprop("adam", 1e-3, clipped_output=False)
    # the better rates of the short runs
    doubled = (
        back("descent, rates x 2", spec, replace(sgd, rate=2 * sgd.rate)),
        back("Adam, rate x 2", spec, replace(adam, rate=2 * adam.rate)),
    )
    if larger in PRESETS:
        yield from doubled
        return
    yield ep("as it is", spec, Recipe())
    if budget.name == "scale":
        yield ep("cosine schedule", spec, Recipe(cosine=True))
        yield from doubled
        return

    def schedule(**changes: Any) -> Spec:
        return replace(spec, schedule=replace(spec.schedule, **changes))

    def learning(**changes: Any) -> Spec:
        return replace(spec, learning=replace(spec.learning, **changes))

    yield from (ep(f"rates x {x:g}", spec, Recipe(), lr_scale=x) for x in (0.7, 1.4))
    yield ep("layer 1's rate 1", learning(rates=(1.0, *spec.learning.rates[1:])), Recipe())
    yield ep("both products", schedule(vector_field=False), Recipe())
    yield ep("a clipped output", schedule(linear_output=False), Recipe())
    yield ep("means from 0", learning(initial_means=0), Recipe())
    yield ep("feedback / 4", schedule(feedback_shift=2), Recipe())
    yield ep("full feedback", schedule(feedback_shift=0), Recipe())
    yield ep("T 32/16, third halving at 16", schedule(free=32, nudged=16, halvings=(1, 4, 16)), Recipe())
    yield ep("T 16/8", schedule(free=16, nudged=8), Recipe())
    yield ep("first weights of layer 1 as of the others", learning(image_gain=1.0), Recipe())
    yield ep("gain 1.25", learning(gain=1.25), Recipe())
    yield ep("not mirrored", spec, Recipe(), flip=False)
    yield ep("shifted by up to 2 pixels", spec, Recipe(), shift=2)
    yield ep("momentum 0.5, rates x 0.5", spec, Recipe(momentum=0.5), lr_scale=0.5)
    yield ep("weight decay 0.001", spec, Recipe(weight_decay=1e-3))
    yield back("descent at the same rates, centred", spec, sgd)
    yield from (back(f"descent, rates x {x:g}", spec, replace(sgd, rate=x * sgd.rate)) for x in (0.5, 2.0))
    plain = learning(image_gain=1.0)
    yield back("descent, first weights of layer 1 as of the others", plain, sgd)
    yield back("the same, pixels normalised", plain, replace(sgd, normalised=True))
    yield back(
        "descent, momentum 0.9, rates x 0.1",
        spec,
        replace(sgd, optimizer="momentum", rate=0.1 * sgd.rate),
    )
    yield back("Adam", spec, adam)
    yield from (back(f"Adam, rate x {x:g}", spec, replace(adam, rate=x * adam.rate)) for x in (0.5, 2.0))
    yield back("Adam, cross-entropy, ReLU", spec, replace(adam, cross_entropy=True, clipped=False))


def with_rule(trial: Trial, plan: Plan, held_out: int) -> Any:
    """Return everything that determines a trial's result, as plain data."""
    return [*facts(trial, plan, held_out), type(trial.rule).__name__, vars(trial.rule)]


STUDY = study(
    "cifar",
    BUDGETS,
    trials,
    "`cifar`, with one change a row; at the budgets `wide` and `paper`, `cifar-wide` and `cifar-paper`.",
    facts=with_rule,
)
