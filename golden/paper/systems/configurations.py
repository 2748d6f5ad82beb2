"""What Table II has: each system by name, with the hyper-parameters of Table I or of the work that the row cites.

`table-1` is Table I, `published` what a cited work has. Where these are silent (threshold, hidden width, initial weights,
learning-rate decay) they are as the codes have them from which the paper descends. `table-1-annealed` has a lambda that
falls and nothing else changed; `tuned` is chosen on held-out images (`nudge repro tuning`), `SETTLED` by training error;
`tuned centred` is that with centred updates (`centre`), and `tuned weak feedback` that with a weak way back and larger
rates, where something spikes in fine spikes (`deviation`); both in wide networks, as is `tuned half rates`, of what `tuned`
upsets. `published falling` is a cited work with rates that fall and nothing else changed, `published weak feedback` has
both; `tuned weak feedback` of such a work is its network with all else as the paper's own has it there. `why` says what
changed.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from golden.contract.shapes import Dense

from .eqspike import Leaky
from .network import Network, PaddedConv
from .neuron import Dynamics


@dataclass(frozen=True)
class Configuration:
    """A system that can be trained."""

    name: str
    #: "table-1", "table-1-annealed", "published", "published falling", "published weak feedback", "tuned", "tuned centred",
    #: "tuned weak feedback", "tuned half rates", or "start", which those are chosen from.
    variant: str
    #: Of Table II.
    row: str
    #: Of Table II.
    column: str
    network: Network
    #: `Leaky` if the rule is "eqspike".
    dynamics: Dynamics | Leaky
    #: Learning rate of each link, input to output.
    rates: tuple[float, ...]
    #: "ep", "bptt" or "eqspike".
    rule: str = "ep"
    batch: int = 125
    epochs: int = 250
    #: Of the initial weights. The paper's "uniform Kaiming initialization" is read as torch's own, 1: sqrt(6) of He et al.
    #: 2015 saturates these networks.
    gain: float = 1.0
    #: Glorot's initial weights, in [-1, 1] times sqrt(6 / (inputs + outputs)), times gain, and biases of 0.
    glorot: bool = False
    #: Factor on the rates after each epoch.
    decay: float = 1.0
    #: Whether beta has a random sign in each batch, with two phases.
    random_sign: bool = False
    #: Updates are those of `centre`.
    centred: bool = False
    #: What a tuned variant changes.
    why: str = ""


@dataclass(frozen=True)
class Published:
    """Figures of Table II; None: not given."""

    #: Test error in percent.
    test: float
    #: Of the test error.
    deviation: float | None = None
    #: Training error in percent.
    train: float | None = None
    train_deviation: float | None = None
    #: MB.
    memory: float | None = None


#: By data set, then name of the configuration.
PUBLISHED = {
    "mnist": {
        "oconnor-1fc": Published(2.37, train=0.15),
        "eqspike-1fc": Published(2.41, train=1.09),
        "oconnor-3fc": Published(2.42, train=0.27),
        "ernoult-2c1fc": Published(1.02, train=0.54),
        "snn-ep": Published(0.97, 0.32, 0.61, 0.28, 321),
        "snn-bptt": Published(0.86, 0.11, memory=2171),
        "crnn-ep": Published(0.94, 0.02, memory=309),
        "crnn-bptt": Published(0.99, 0.36, memory=3018),
    },
    "fashion-mnist": {
        "snn-ep": Published(8.89, 2.45, 2.90, 0.02, 321),
        "snn-bptt": Published(8.71, 1.25, memory=2171),
        "crnn-ep": Published(8.99, 2.89, memory=309),
        "crnn-bptt": Published(8.83, 1.33, memory=3018),
    },
}


@dataclass(frozen=True)
class TableI:
    """Optimal hyper-parameters of one data set."""

    beta: float
    rate: float
    prediction: float
    free: int
    nudged: int
    rates: tuple[float, ...] = (0.25, 0.15, 0.1, 0.08)
    batch: int = 125
    epochs: int = 250


TABLE_I = {"mnist": TableI(0.1, 0.9, 0.6, 250, 50), "fashion-mnist": TableI(0.2, 1.0, 0.6, 350, 50)}


#: Factor on the rates of `starts`, and the initial weights' gain, of `tuned`: the best of what `nudge repro tuning --budget
#: scale` and pairs of its changes gave on held-out digits, the same for all four (docs/log/2026-11-28-scale.md).
CHOSEN = {"snn-ep": (2, 1.25), "snn-bptt": (2, 1.25), "crnn-ep": (2, 1.25), "crnn-bptt": (2, 1.25)}

#: Row of Table II that is the paper's own.
OWN_ROW = "2C2FC"

#: Of a cited work, whose rates don't fall.
PUBLISHED_FALLING, PUBLISHED_WEAK = "published falling", "published weak feedback"
#: What the variants begin with whose rates fall as far as a budget says.
FALLING = ("tuned", PUBLISHED_FALLING, PUBLISHED_WEAK)

#: What `tuned` has in common.
TUNED = "lambda 1/4, epsilon 1, beta 1/2, static image, odd layers first, T 16/8, mean of 4 sweeps with spikes, batch 16"

#: Dynamics that differ in `tuned`, by name, from `WIDE` channels on. With spikes, weights grow until 16 sweeps and a lambda of
#: 1/4 no longer settle: it is larger at first, so that states arrive, and smaller later, so that they are exact. Narrow
#: networks learn by rates that are too large for it (docs/log/2026-11-29-annealed.md).
SETTLED: dict[str, dict[str, Any]] = {
    "snn-ep": {"free": 32, "nudged": 16, "window": 8, "prediction": 1.0, "prediction_decay": 0.5}
}
#: Channels of the first convolution.
WIDE = 32

#: Feedback of what has weak feedback, by held-out images (docs/log/2026-11-29-recurrence.md). Layers that drive each other less
#: settle sooner and bear larger steps; among spikes the nudge is then lost, but for `FINE` ones.
WEAK = 0.25

#: `Dynamics.fine` of 2C2FC with weak feedback, likewise (docs/log/2026-11-29-fine-spikes.md): the nudge's way down the layers.
FINE = (8, 6, 4, 1)

#: Of the paper's network where it is trained on all images ("scale"): channels of its convolutions, units of its hidden layer.
SCALE_WIDTHS = (32, 64, 256)


def two_conv_two_dense(first: int = 128, second: int = 256, hidden: int = 512, *, softmax: bool = False) -> Network:
    """2C2FC. The hidden width isn't published; 512 is what the codes of this lineage have."""
    return Network((PaddedConv(first), PaddedConv(second), Dense(hidden), Dense(10)), softmax=softmax)


def starts(widths: tuple[int, int, int]) -> list[Configuration]:
    """What the four systems' constants are tuned from, the same for all; `nudge repro tuning` changes one at a time."""
    # an update moves all weights of a neuron at once, so with more of them each must move less
    later = min((8 / widths[0]) ** 1.25, 1.0)
    rates = (0.5, 0.3 * later, 0.2 * later, 0.16 * later)
    averaged = Dynamics(16, 8, 4, 0.25, 1.0, 0.5, order="odd-even")
    settled = replace(averaged, spiking=False, window=1)
    squared, entropy = two_conv_two_dense(*widths), two_conv_two_dense(*widths, softmax=True)
    of = partial(Configuration, variant="start", row=OWN_ROW, rates=rates, batch=16)
    return [
        of("snn-ep", column="SNN EP", network=squared, dynamics=averaged),
        of("snn-bptt", column="SNN BPTT", network=squared, dynamics=averaged, rule="bptt"),
        of("crnn-ep", column="CRNN EP", network=entropy, dynamics=settled),
        of("crnn-bptt", column="CRNN BPTT", network=entropy, dynamics=settled, rule="bptt"),
    ]


def _table_one(data: str, widths: tuple[int, int, int]) -> list[Configuration]:
    """The four systems of the paper itself, in all variants."""
    best = TABLE_I[data]
    spiking = Dynamics(best.free, best.nudged, 1, best.prediction, best.rate, best.beta, image_spikes=True)
    real = replace(spiking, spiking=False, image_spikes=False)
    squared, entropy = two_conv_two_dense(*widths), two_conv_two_dense(*widths, softmax=True)
    of = partial(Configuration, variant="table-1", row=OWN_ROW, rates=best.rates)
    exactly = [
        of("snn-ep", column="SNN EP", network=squared, dynamics=spiking),
        of("snn-bptt", column="SNN BPTT", network=squared, dynamics=spiking, rule="bptt"),
        of("crnn-ep", column="CRNN EP", network=entropy, dynamics=real),
        of("crnn-bptt", column="CRNN BPTT", network=entropy, dynamics=real, rule="bptt"),
    ]
    falling = replace(spiking, prediction_decay=0.5)
    annealed = replace(exactly[0], variant="table-1-annealed", dynamics=falling, why="lambda 0.6 / t^0.5")
    chosen = [tuned(start) for start in starts(widths)]
    centred = [with_centred_updates(c) for c in chosen if widths[0] >= WIDE]
    factors = {"crnn-ep": 2, "snn-ep": 4}
    weak = [with_weak_feedback(c, "tuned weak feedback", factors[c.name]) for c in centred if c.name in factors]
    weak = [with_fine_spikes(c) if c.name == "snn-ep" else c for c in weak]
    halved = [with_half_rates(c) for c in chosen if c.name == "crnn-bptt" and widths[0] >= WIDE]
    return [*exactly, annealed, *chosen, *halved, *centred, *weak]


def with_half_rates(c: Configuration) -> Configuration:
    """Nothing else changed."""
    half = tuple(rate / 2 for rate in c.rates)
    return replace(c, variant=f"{c.variant} half rates", rates=half, why=f"{c.why}, these rates / 2")


def with_centred_updates(c: Configuration) -> Configuration:
    """Nothing else changed."""
    return replace(c, variant=f"{c.variant} centred", centred=True, why=f"{c.why}, centred updates")


def with_weak_feedback(c: Configuration, variant: str, factor: int) -> Configuration:
    """factor: on the rates."""
    why = f"{c.why}, feedback {WEAK:g}, these rates x {factor}"
    network = replace(c.network, feedback=WEAK)
    return replace(c, variant=variant, network=network, rates=tuple(factor * rate for rate in c.rates), why=why)


def with_fine_spikes(c: Configuration) -> Configuration:
    """In the nudged phases."""
    assert isinstance(c.dynamics, Dynamics)
    worth = ", ".join(f"2^-{point}" for point in FINE)
    return replace(c, dynamics=replace(c.dynamics, fine=FINE), why=f"{c.why}, spikes of nudged phases worth {worth}")


def with_own_dynamics(c: Configuration) -> Configuration:
    """A cited work's dense network with what `tuned weak feedback` has: its schedule, weak feedback, fine spikes, centred
    updates; rates by held-out digits (docs/log/2026-11-29-deep.md)."""
    dynamics = Dynamics(beta=0.5, order="odd-even", **SETTLED["snn-ep"])
    network, why = replace(c.network, feedback=WEAK), f"dynamics of tuned weak feedback, feedback {WEAK:g}, centred updates"
    own = replace(c, variant="tuned weak feedback", network=network, dynamics=dynamics, centred=True, why=why)
    own = replace(own, rates=(0.4, 0.2, 0.2, 0.2), batch=16, gain=1.25, glorot=False, random_sign=False)
    return with_fine_spikes(own)


def with_falling_rates(c: Configuration) -> Configuration:
    """Nothing else changed; the budget says how far, over its own epochs."""
    return replace(c, variant=PUBLISHED_FALLING, why="rates that fall")


def tuned(start: Configuration) -> Configuration:
    """What is chosen from where all systems start."""
    factor, gain = CHOSEN[start.name]
    assert isinstance(start.dynamics, Dynamics)
    first = start.network.stages[0]
    assert isinstance(first, PaddedConv)
    changes = SETTLED.get(start.name, {}) if first.channels >= WIDE else {}
    why = ", ".join([TUNED, f"rates x {factor}", f"gain {gain:g}", *(f"{name} {value:g}" for name, value in changes.items())])
    rates = tuple(factor * rate for rate in start.rates)
    return replace(start, variant="tuned", dynamics=replace(start.dynamics, **changes), rates=rates, gain=gain, why=why)


def _cited(narrow: int) -> list[Configuration]:
    """Rows of other works. narrow: what widths are divided by."""
    width = 500 // narrow
    annealed = Dynamics(
        100, 50, 1, 0.503, 0.354, 1.0, image_spikes=True, prediction_decay=0.292, three_phases=False
    )  # beta: the code's nudge has a factor of 2
    one = Network((Dense(width), Dense(10)))
    three = Network((Dense(width), Dense(width), Dense(width), Dense(10)))
    conv = Network((PaddedConv(32 // narrow, 5), PaddedConv(64 // narrow, 5), Dense(10)), pooling="maximum")
    row = Configuration("oconnor-1fc", "published", "1FC [8]", "SNN EP", one, annealed, (0.2, 0.1), batch=20, epochs=25)
    oconnor_1 = replace(row, random_sign=True, glorot=True)
    oconnor_3 = replace(
        oconnor_1,
        name="oconnor-3fc",
        row="3FC [8]",
        network=three,
        dynamics=replace(annealed, beta=2.0),
        rates=(0.256, 0.064, 0.016, 0.004),
        epochs=500,
    )
    eqspike = replace(
        oconnor_1,
        name="eqspike-1fc",
        row="1FC [3]",
        rule="eqspike",
        dynamics=Leaky(100, 60),
        rates=(0.1, 0.05),
        glorot=False,
    )
    ernoult = replace(
        row,
        name="ernoult-2c1fc",
        row="2C1FC [9]",
        network=conv,
        dynamics=Dynamics(200, 10, 1, beta=0.4, spiking=False, clip_nudge=False, three_phases=False),
        rates=(0.15, 0.035, 0.015),
        epochs=40,
    )
    falling = [with_falling_rates(c) for c in (oconnor_3, ernoult)]
    weak = [with_weak_feedback(falling[-1], PUBLISHED_WEAK, 4)]
    own = [with_own_dynamics(oconnor_3)] if narrow == 1 else []
    return [oconnor_1, eqspike, oconnor_3, ernoult, *falling, *weak, *own]


def table_two(data: str, narrow: int = 1, widths: tuple[int, int, int] | None = None) -> list[Configuration]:
    """All configurations that Table II has for a data set. narrow: divide widths by it, for small machines; those of the
    cited works, which are smaller, by a quarter of it."""
    cited = _cited(max(narrow // 4, 1)) if data == "mnist" else []
    return cited + _table_one(data, widths or (128 // narrow, 256 // narrow, 512 // narrow))
