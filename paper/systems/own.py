"""The paper's own four systems: 2C2FC, spiking or not, by EP or by BPTT, in all variants.

`table-1` has Table I's constants; those that the paper doesn't state (threshold, hidden width, initial
weights, learning-rate decay) are from the code that the paper builds on. `table-1-annealed` changes lambda
alone, which falls. `tuned` was chosen on held-out images (`nudge repro tuning`), its `SETTLED` by training
error; names that begin with `tuned` are that with one of `variants`.
"""

from dataclasses import replace
from typing import Any

from nudge.golden.contract.shapes import Dense

from .configuration import Configuration
from .network import Network, PaddedConv
from .neuron import Dynamics
from .published import OWN_ROW, TABLE_I
from .variants import (
    TUNED_WEAK,
    changed,
    with_centred_updates,
    with_fine_spikes,
    with_half_rates,
    with_weak_feedback,
)

#: Constants of `tuned`: factor on the learning rates of `starts`, and gain of the initial weights. The best
#: on held-out digits among the changes of `nudge repro tuning --budget scale` and pairs of them, the same for
#: all four systems (docs/log/2026-11-28-scale.md).
FACTOR, GAIN = 2, 1.25

#: The constants that all `tuned` systems share, in words.
TUNED = (
    "lambda 1/4, epsilon 1, beta 1/2, static image, odd layers first, T 16/8, mean of 4 sweeps with "
    "spikes, batch 16"
)

#: Exceptions to the dynamics of `tuned`, by the system's name, from `WIDE` channels on. With spikes, weights
#: grow until the network no longer settles in 16 sweeps at lambda 1/4: lambda is larger at first, so that
#: states converge fast, and smaller later, so that they are exact. Narrow networks need learning rates that
#: are too large for it (docs/log/2026-11-29-annealed.md).
SETTLED: dict[str, dict[str, Any]] = {
    "snn-ep": {"free": 32, "nudged": 16, "window": 8, "prediction": 1.0, "prediction_decay": 0.5}
}
#: Channels of the first convolution from which a network counts as wide.
WIDE = 32

#: Factor on the learning rates of `tuned` with weak feedback, by system; chosen on held-out images.
WEAK_RATES = {"snn-ep": 4, "crnn-ep": 2}

#: Widths of 2C2FC in the budget "scale": channels of both convolutions, units of the hidden layer.
SCALE_WIDTHS = (32, 64, 256)


def two_conv_two_dense(
    first: int = 128, second: int = 256, hidden: int = 512, *, softmax: bool = False
) -> Network:
    """Return 2C2FC. The hidden width isn't published; 512 is from the code that the paper builds on."""
    return Network((PaddedConv(first), PaddedConv(second), Dense(hidden), Dense(10)), softmax=softmax)


def four(
    variant: str,
    widths: tuple[int, int, int],
    spiking: Dynamics,
    real: Dynamics,
    rates: tuple[float, ...],
    batch: int,
) -> list[Configuration]:
    """Return all four systems with the same constants. spiking, real: dynamics with and without spikes;
    without them the loss is the cross-entropy."""
    kinds = (
        ("snn", two_conv_two_dense(*widths), spiking),
        ("crnn", two_conv_two_dense(*widths, softmax=True), real),
    )
    return [
        Configuration(
            f"{kind}-{rule}",
            variant,
            OWN_ROW,
            f"{kind} {rule}".upper(),
            network,
            dynamics,
            rates,
            rule,
            batch,
        )
        for kind, network, dynamics in kinds
        for rule in ("ep", "bptt")
    ]


def starts(widths: tuple[int, int, int]) -> list[Configuration]:
    """Return the start of tuning, the same constants for all systems; `nudge repro tuning` varies them."""
    # an update changes all weights of a neuron at once: the more there are, the smaller each change must be
    later = min((8 / widths[0]) ** 1.25, 1.0)
    averaged = Dynamics(16, 8, 4, 0.25, 1.0, 0.5, order="odd-even")
    settled = replace(averaged, spiking=False, window=1)
    return four("start", widths, averaged, settled, (0.5, 0.3 * later, 0.2 * later, 0.16 * later), 16)


def tuned(start: Configuration) -> Configuration:
    """Return the variant `tuned` of a system of `starts`."""
    assert isinstance(start.dynamics, Dynamics)
    first = start.network.stages[0]
    assert isinstance(first, PaddedConv)
    changes = SETTLED.get(start.name, {}) if first.channels >= WIDE else {}
    told = (f"rates x {FACTOR}", f"gain {GAIN:g}", *(f"{name} {value:g}" for name, value in changes.items()))
    dynamics = replace(start.dynamics, **changes)
    return changed(start, "tuned", ", ".join((TUNED, *told)), FACTOR, dynamics=dynamics, gain=GAIN)


def table_one(data: str, widths: tuple[int, int, int]) -> list[Configuration]:
    """Return all four systems with Table I's constants for a data set, and `snn-ep` with a falling lambda."""
    best = TABLE_I[data]
    spiking = Dynamics(best.free, best.nudged, 1, best.prediction, best.rate, best.beta, image_spikes=True)
    real = replace(spiking, spiking=False, image_spikes=False)
    exactly = four("table-1", widths, spiking, real, best.rates, best.batch)
    falling = replace(spiking, prediction_decay=0.5)
    return [*exactly, changed(exactly[0], "table-1-annealed", "lambda 0.6 / t^0.5", dynamics=falling)]


def own_systems(data: str, widths: tuple[int, int, int]) -> list[Configuration]:
    """Return all four systems in all variants; those that change `tuned` further only for wide networks."""
    chosen = [tuned(start) for start in starts(widths)]
    if widths[0] < WIDE:
        return [*table_one(data, widths), *chosen]
    halved = [with_half_rates(c) for c in chosen if c.name == "crnn-bptt"]
    centred = [with_centred_updates(c) for c in chosen]
    weak = [with_weak_feedback(c, TUNED_WEAK, WEAK_RATES[c.name]) for c in centred if c.name in WEAK_RATES]
    fine = [with_fine_spikes(c) if c.name == "snn-ep" else c for c in weak]
    return [*table_one(data, widths), *chosen, *halved, *centred, *fine]
