"""Why FashionMNIST is hard: one hypothesis per group, each variant of `small` trained alike.

Groups vary the constants of the learning rule, the number of steps, the range of weights, and the network;
backpropagation through the same feed-forward network shows how much error the other groups can explain. The
budget `rule` compares possible causes of the higher error with two convolutions: the learning rule, its
constants, the loss, the clip of the output, or a single learning rate for all weights of a layer. It has
32-64-256 channels and the presets' order; its learning curve matches that of the published widths,
128-256-512, in a tenth of the time.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv
from nudge.golden.contract.spec import Spec
from nudge.golden.training.plan import Plan
from nudge.paper.systems.own import SCALE_WIDTHS, starts, tuned
from nudge.paper.tables.study import GIBIBYTE, Budget, plain

from .backprop import Backprop
from .held_out import STUDIED, STUDIED_LARGE, STUDIED_MEDIUM, STUDIED_TINY, STUDIED_WIDE, Trial, facts, study

DATA = {"data": "fashion-mnist"}

#: decay: the last epoch's learning rates are about a tenth of the first's.
BUDGETS = (
    Budget("quick", 1, 2 * GIBIBYTE, DATA | {"samples": 2000, "held_out": 1000, "epochs": 2, "decay": 0.3}),
    Budget("cpu", 3, 2 * GIBIBYTE, DATA | {"samples": 20000, "held_out": 5000, "epochs": 4, "decay": 0.5}),
    Budget(
        "rule",
        1,
        2 * GIBIBYTE,
        DATA | {"samples": 55000, "held_out": 5000, "epochs": 4, "decay": 0.5, "flip": True},
        threads=1,
    ),
)


def row(group: str, name: str, spec: Spec = STUDIED, backprop: Backprop | None = None, **plan: Any) -> Trial:
    """Return the trial of a variant. plan: options that differ from the budget's."""
    return Trial({"group": group, "variant": name}, spec, plan, backprop)


def learning(spec: Spec, **changes: Any) -> Spec:
    """Return the network with other constants of learning."""
    return replace(spec, learning=replace(spec.learning, **changes))


def ratio(layer: int, factor: float) -> Spec:
    """Return `STUDIED` with the learning rate of one bundle, counted from 1, times a factor."""
    rates = list(STUDIED.learning.rates)
    rates[layer - 1] *= factor
    return learning(STUDIED, rates=tuple(rates))


def wide_range() -> Spec:
    """Return `STUDIED` with weights and biases in [-2, 2): each LSB is twice as large."""
    f = STUDIED.formats
    fractions = {
        name: getattr(f, name) - 1 for name in ("weight_fraction", "phi_fraction", "master_fraction")
    }
    return replace(STUDIED, formats=replace(f, **fractions, bias_bits=f.bias_bits + 1))


def kernels(spec: Spec, *sides: int) -> Spec:
    """Return the network with other kernel sides in its first convolutions."""
    first = [
        Conv(stage.channels, side)
        for stage, side in zip(spec.stages, sides, strict=False)
        if isinstance(stage, Conv)
    ]
    return replace(spec, stages=(*first, *spec.stages[len(sides) :]))


def of_small() -> Iterator[Trial]:
    """Yield the rows of the budgets `quick` and `cpu`."""
    yield row("as it is", "small")
    yield from (row("learning rate", f"x {x:g}", lr_scale=x) for x in (0.5, 2.0))
    yield from (
        row("learning rate", f"bundle {n} x {x:g}", ratio(n, x)) for n in (1, 2, 3, 4) for x in (0.5, 2.0)
    )
    for batch, x in ((8, 0.5), (16, 0.7), (64, 1.4)):
        yield row("batch", f"{batch}, rates x {x:g}", batch=batch, lr_scale=x)
    yield from (row("beta", f"{beta:g}", beta=beta) for beta in (0.125, 0.25, 1.0))
    yield from (row("initial gain", f"{gain:g}", learning(STUDIED, gain=gain)) for gain in (0.7, 1.4))
    yield row("noise and settling", "T 64/32, M 16", replace(STUDIED, schedule=Schedule(64, 32, 4)))
    yield row("noise and settling", "T 16/8", replace(STUDIED, schedule=Schedule(16, 8)))
    yield row("range of weights", "[-2, 2)", wide_range())
    for spec in (STUDIED_TINY, STUDIED_MEDIUM, STUDIED_LARGE, STUDIED_WIDE):
        yield row("network", spec.name, spec)
    yield row("network", "large, 5x5 first", kernels(STUDIED_LARGE, 5))
    yield row("network", "wide, 3x3", kernels(STUDIED_WIDE, 3))
    forward, adam = partial(row, "backpropagation"), Backprop("adam", 2e-3, True, False, False)
    yield forward("squared error, all clipped, rate 0.1", backprop=Backprop())
    yield forward("the same, linear output", backprop=Backprop(clipped_output=False))
    yield forward("Adam, cross-entropy, ReLU", backprop=adam)
    yield forward("the same, max pooling", backprop=replace(adam, max_pool=True))
    yield forward("Adam, ..., `large`", STUDIED_LARGE, adam)


def of_rule() -> Iterator[Trial]:
    """Yield the rows of the budget `rule`."""
    deep = replace(PRESETS["large"], schedule=PRESETS["paper"].schedule)
    ep, forward = partial(row, "equilibrium propagation"), partial(row, "feed-forward backpropagation")
    # these were chosen on digits at the same widths
    of_table = next(tuned(start) for start in starts(SCALE_WIDTHS) if start.name == "snn-ep")
    as_in_table_two = learning(deep, rates=of_table.rates, batch=of_table.batch, gain=of_table.gain)
    yield ep("as it is", deep)
    yield from (ep(f"rates x {x:g}", deep, lr_scale=x) for x in (0.5, 2.0))
    yield ep(
        "biases' rates x 0.1", learning(deep, bias_rates=tuple(0.1 * rate for rate in deep.learning.rates))
    )
    yield ep("batch 16, rates x 0.7", deep, batch=16, lr_scale=0.7)
    yield ep("M 8", replace(deep, schedule=replace(deep.schedule, window_log2=3)))
    yield ep(
        "lambda 1, 1/2, 1/4", replace(deep, schedule=replace(deep.schedule, decay_shift=0, halvings=(1, 4)))
    )
    yield ep("Table II's rates", as_in_table_two)
    yield ep("5x5 kernels", kernels(deep, 5, 5))
    yield ep("one convolution: wide", PRESETS["wide"])
    yield forward("plain, squared error, all clipped", deep, Backprop("sgd", 0.3))
    linear = Backprop("sgd", 0.3, clipped_output=False)
    yield forward("plain, squared error", deep, linear)
    yield forward("plain, cross-entropy", deep, replace(linear, rate=0.1, cross_entropy=True))
    adam = replace(linear, optimizer="adam", rate=1e-3)
    yield forward("Adam, squared error, all clipped", deep, replace(adam, clipped_output=True))
    yield forward("Adam, squared error", deep, adam)
    yield forward("Adam, cross-entropy", deep, replace(adam, cross_entropy=True))
    yield forward("Adam, cross-entropy, ReLU", deep, replace(adam, cross_entropy=True, clipped=False))
    yield forward("sign, squared error", deep, replace(linear, optimizer="sign", rate=3e-4))
    for name, centred in (("plain, Table II's rates x {}", False), ("the same x {}, centred", True)):
        for x in (1, 4):
            yield forward(
                name.format(x), as_in_table_two, replace(linear, rate=x, by_layer=True, centred=centred)
            )
    yield forward("Adam without momentum", as_in_table_two, replace(linear, optimizer="scaled", rate=1e-3))


def with_backprop(trial: Trial, plan: Plan, held_out: int) -> Any:
    """Return everything that determines a trial's result, as plain data."""
    return [*facts(trial, plan, held_out), trial.rule and plain(trial.rule)]


STUDY = study(
    "fashion",
    BUDGETS,
    lambda budget: of_rule() if budget.name == "rule" else of_small(),
    "Each row changes one thing of the first, or learns by backpropagation.",
    facts=with_backprop,
)
