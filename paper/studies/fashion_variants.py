"""The rows of `fashion`: each a change to `small`, `large`, `wide` or their learning."""

from dataclasses import dataclass, replace
from typing import Any

from golden.contract.presets import PRESETS
from golden.contract.schedule import Schedule
from golden.contract.shapes import Conv
from golden.contract.spec import Spec
from paper.systems.own import SCALE_WIDTHS, starts, tuned

from .backprop import Backprop
from .held_out import STUDIED, STUDIED_LARGE, STUDIED_MEDIUM, STUDIED_TINY, STUDIED_WIDE

BASE = STUDIED


@dataclass(frozen=True)
class Variant:
    """A row."""

    group: str
    name: str
    spec: Spec = BASE
    #: Options of the plan that differ.
    plan: tuple[tuple[str, float], ...] = ()
    #: Instead of equilibrium propagation.
    backprop: Backprop | None = None


def wide_range() -> Spec:
    """Weights and biases in [-2, 2): each LSB twice as large."""
    f = BASE.formats
    return replace(
        BASE,
        formats=replace(
            f,
            weight_fraction=f.weight_fraction - 1,
            phi_fraction=f.phi_fraction - 1,
            master_fraction=f.master_fraction - 1,
            bias_bits=f.bias_bits + 1,
        ),
    )


def ratio(layer: int, factor: float) -> Spec:
    """Another learning rate in one bundle."""
    rates = tuple(rate * factor if n == layer else rate for n, rate in enumerate(BASE.learning.rates, start=1))
    return replace(BASE, learning=replace(BASE.learning, rates=rates))


def gain(value: float) -> Spec:
    """Other initial weights."""
    return replace(BASE, learning=replace(BASE.learning, gain=value))


def kernels(spec: Spec, *sides: int) -> Spec:
    """Other kernel sides in the first convolutions."""
    stages = list(spec.stages)
    for n, side in enumerate(sides):
        stage = stages[n]
        assert isinstance(stage, Conv)
        stages[n] = replace(stage, kernel=side)
    return replace(spec, stages=tuple(stages))


def scheduled(spec: Spec, **changes: Any) -> Spec:
    """Another schedule."""
    return replace(spec, schedule=replace(spec.schedule, **changes))


LARGE, WIDE = STUDIED_LARGE, STUDIED_WIDE
#: Of backpropagation by Adam: what is usual, and with the units and the error that equilibrium propagation has here.
USUAL, ALIKE = Backprop("adam", 1e-3, True, False, False), Backprop("adam", 1e-3)

VARIANTS = (
    Variant("as it is", "small"),
    *(Variant("learning rate", f"x {x:g}", plan=(("lr_scale", x),)) for x in (0.5, 2.0)),
    *(Variant("learning rate", f"bundle {n} x {x:g}", ratio(n, x)) for n in (1, 2, 3, 4) for x in (0.5, 2.0)),
    Variant("batch", "8, rates x 0.5", plan=(("batch", 8), ("lr_scale", 0.5))),
    Variant("batch", "16, rates x 0.7", plan=(("batch", 16), ("lr_scale", 0.7))),
    Variant("batch", "64, rates x 1.4", plan=(("batch", 64), ("lr_scale", 1.4))),
    *(Variant("beta", f"{b:g}", plan=(("beta", b),)) for b in (0.125, 0.25, 1.0)),
    *(Variant("initial gain", f"{g:g}", gain(g)) for g in (0.7, 1.4)),
    Variant("noise and settling", "T 64/32, M 16", replace(BASE, schedule=Schedule(64, 32, 4))),
    Variant("noise and settling", "T 16/8", replace(BASE, schedule=Schedule(16, 8))),
    Variant("range of weights", "[-2, 2)", wide_range()),
    *(Variant("network", spec.name, spec) for spec in (STUDIED_TINY, STUDIED_MEDIUM, LARGE, WIDE)),
    Variant("network", "large, 5x5 first", kernels(LARGE, 5)),
    Variant("network", "wide, 3x3", kernels(WIDE, 3)),
    Variant("backpropagation", "squared error, all clipped, rate 0.1", backprop=Backprop()),
    Variant("backpropagation", "the same, linear output", backprop=Backprop(clipped_output=False)),
    Variant("backpropagation", "Adam, cross-entropy, ReLU", backprop=Backprop("adam", 2e-3, True, False, False)),
    Variant("backpropagation", "the same, max pooling", backprop=Backprop("adam", 2e-3, True, False, False, True)),
    Variant("backpropagation", "Adam, ..., `large`", LARGE, backprop=Backprop("adam", 2e-3, True, False, False)),
)

FLIP = (("flip", True),)
LONG = (
    Variant("equilibrium propagation", "large", LARGE, FLIP),
    Variant("equilibrium propagation", "wide", WIDE, FLIP),
    Variant("Adam, cross-entropy, ReLU", "large", LARGE, FLIP, USUAL),
    Variant("Adam, cross-entropy, ReLU", "wide", WIDE, FLIP, USUAL),
    Variant("Adam, squared error, all clipped", "large", LARGE, FLIP, ALIKE),
    Variant("Adam, squared error, all clipped", "wide", WIDE, FLIP, ALIKE),
)

TABLE_TWO = next(tuned(start) for start in starts(SCALE_WIDTHS) if start.name == "snn-ep")


def as_in_table_two(spec: Spec) -> Spec:
    """The rates, batch and initial weights that Table II's spiking network has, chosen on digits at the same widths."""
    learning = replace(spec.learning, rates=TABLE_TWO.rates, batch=TABLE_TWO.batch, gain=TABLE_TWO.gain)
    return replace(spec, learning=learning)


LONGER = {"free": 32, "nudged": 16, "window_log2": 3}
DEEP = replace(PRESETS["large"], schedule=PRESETS["paper"].schedule)


def biases(spec: Spec, factor: float) -> Spec:
    """Biases that learn by a part of the weights' rates."""
    return replace(spec, learning=replace(spec.learning, bias_rates=tuple(factor * rate for rate in spec.learning.rates)))


def descent(factor: float, *, centred: bool = False) -> Backprop:
    """Plain descent on the squared error, each layer with a factor on its own learning rate."""
    return Backprop("sgd", factor, clipped_output=False, by_layer=True, centred=centred)


EP, FORWARD = "equilibrium propagation", "feed-forward backpropagation"
RULE = (
    Variant(EP, "as it is", DEEP, FLIP),
    *(Variant(EP, f"rates x {x:g}", DEEP, (*FLIP, ("lr_scale", x))) for x in (0.5, 2.0)),
    Variant(EP, "biases' rates x 0.1", biases(DEEP, 0.1), FLIP),
    Variant(EP, "batch 16, rates x 0.7", DEEP, (*FLIP, ("batch", 16), ("lr_scale", 0.7))),
    Variant(EP, "M 8", scheduled(DEEP, window_log2=3), FLIP),
    Variant(EP, "lambda 1, 1/2, 1/4", scheduled(DEEP, decay_shift=0, halvings=(1, 4)), FLIP),
    Variant(EP, "lambda 1, 1/2, 1/4, 1/8", scheduled(DEEP, decay_shift=0, halvings=(1, 4, 12)), FLIP),
    Variant(EP, "T 32/16, M 8", scheduled(DEEP, **LONGER), FLIP),
    Variant(EP, "T 32/16, M 8, lambda 1, 1/2, 1/4, 1/8", scheduled(DEEP, **LONGER, decay_shift=0, halvings=(1, 4, 16)), FLIP),
    Variant(EP, "Table II's rates", as_in_table_two(DEEP), FLIP),
    Variant(EP, "the same, lambda 1, 1/2, 1/4", as_in_table_two(scheduled(DEEP, decay_shift=0, halvings=(1, 4))), FLIP),
    Variant(
        EP,
        "the same, T 32/16, M 8, lambda 1, 1/2, 1/4, 1/8",
        as_in_table_two(scheduled(DEEP, **LONGER, decay_shift=0, halvings=(1, 4, 16))),
        FLIP,
    ),
    Variant(EP, "5x5 kernels", kernels(DEEP, 5, 5), FLIP),
    Variant(EP, "one convolution: wide", PRESETS["wide"], FLIP),
    Variant(FORWARD, "plain, squared error, all clipped", DEEP, FLIP, Backprop("sgd", 0.3)),
    Variant(FORWARD, "plain, squared error", DEEP, FLIP, Backprop("sgd", 0.3, clipped_output=False)),
    Variant(FORWARD, "plain, cross-entropy", DEEP, FLIP, Backprop("sgd", 0.1, True, clipped_output=False)),
    Variant(FORWARD, "Adam, squared error, all clipped", DEEP, FLIP, Backprop("adam", 1e-3)),
    Variant(FORWARD, "Adam, squared error", DEEP, FLIP, Backprop("adam", 1e-3, clipped_output=False)),
    Variant(FORWARD, "Adam, cross-entropy", DEEP, FLIP, Backprop("adam", 1e-3, True, clipped_output=False)),
    Variant(FORWARD, "Adam, cross-entropy, ReLU", DEEP, FLIP, Backprop("adam", 1e-3, True, False, False)),
    Variant(FORWARD, "sign, squared error", DEEP, FLIP, Backprop("sign", 3e-4, clipped_output=False)),
    *(Variant(FORWARD, f"plain, Table II's rates x {x:g}", as_in_table_two(DEEP), FLIP, descent(x)) for x in (1, 4)),
    *(Variant(FORWARD, f"the same x {x:g}, centred", as_in_table_two(DEEP), FLIP, descent(x, centred=True)) for x in (1, 4)),
    Variant(FORWARD, "Adam without momentum", as_in_table_two(DEEP), FLIP, Backprop("scaled", 1e-3, clipped_output=False)),
)
