"""Agreement of equilibrium propagation's update with the gradient, per layer, over beta, lambda, T and M.

The reference is backpropagation through time (BPTT) on the same network and batch. For all rows it is the
BPTT of the convergent network, the exact gradient at the state that the dynamics settle to; spiking rows are
also compared with the BPTT of their own spikes with a surrogate derivative. Networks are 8-16-64-10 with
average pooling, or with maximum pooling where the row's name has it; weights come from a short training of
the convergent network. The gradient itself has cosine 1 and norm ratio 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from nudge.golden.training.epoch import order
from nudge.paper.systems import backprop, equilibrium
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.network import Network, Parameters
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import two_conv_two_dense
from nudge.paper.systems.published import TABLE_I
from nudge.paper.systems.train import SystemRun, pixels, train
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Study, images, plain

BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"data": "embedded", "samples": 500, "epochs": 2, "batch": 20}, threads=1),
    Budget("cpu", 3, 2 * GIBIBYTE, {"data": "mnist", "samples": 5000, "epochs": 1, "batch": 125}, threads=1),
)

POOLINGS = ("average", "maximum")
LINKS = ("conv1", "conv2", "fc1", "fc2")
#: Images that are backpropagated at once.
CHUNK = 25
#: Steps of the reference's free phase, long enough to settle.
SETTLED = 256

CONVERGENT = Dynamics(256, 64, 1, beta=0.1, spiking=False)
BEST = TABLE_I["mnist"]
PAPER = Dynamics(BEST.free, BEST.nudged, 1, BEST.prediction, BEST.rate, BEST.beta, image_spikes=True)
TUNED = Dynamics(64, 32, 16, 0.25, 1.0, 0.5)


@dataclass(frozen=True)
class Variant:
    """A row: the base of its group with one change."""

    group: str
    name: str
    dynamics: Dynamics
    pooling: str = "average"


def varied(group: str, base: Dynamics, **values: tuple[float, ...]) -> list[Variant]:
    """Return variants of the base that change one quantity at a time."""
    return [
        Variant(group, f"{name} {value:g}", replace(base, **{name: value}))  # type: ignore[arg-type]
        for name, each in values.items()
        for value in each
    ]


VARIANTS = (
    Variant("convergent", "beta 0.1, T 256/64", CONVERGENT),
    *varied(
        "convergent",
        CONVERGENT,
        beta=(0.01, 0.02, 0.05, 0.2, 0.5, 1.0),
        free=(8, 16, 32, 64),
        nudged=(5, 10, 20),
    ),
    Variant("convergent", "two phases", replace(CONVERGENT, three_phases=False)),
    Variant("convergent", "maximum pooling", CONVERGENT, "maximum"),
    Variant("spiking, Table I", "lambda 0.6, beta 0.1, window 1", PAPER),
    *varied("spiking, Table I", PAPER, window=(8, 25), beta=(0.2, 0.5), prediction=(0.25,)),
    Variant("spiking, Table I", "static image", replace(PAPER, image_spikes=False)),
    Variant("spiking, tuned", "lambda 0.25, beta 0.5, T 64/32, window 16", TUNED),
    *varied(
        "spiking, tuned",
        TUNED,
        window=(1, 4, 8, 32),
        beta=(0.05, 0.1, 0.2, 1.0),
        prediction=(1.0, 0.5, 0.125),
    ),
    *varied("spiking, tuned", TUNED, free=(16, 32, 128), nudged=(16, 64)),
    Variant(
        "spiking, tuned", "lambda 0.503/t^0.292", replace(TUNED, prediction=0.503, prediction_decay=0.292)
    ),
    Variant("spiking, tuned", "maximum pooling", TUNED, "maximum"),
)


def network(pooling: str) -> Network:
    """Return the network 8-16-64-10."""
    return replace(two_conv_two_dense(8, 16, 64), pooling=pooling)


def agreement(update: Tensor, gradient: Tensor) -> tuple[float, float]:
    """Return cosine(update, gradient) and |update| / |gradient|, which is nan if the gradient is 0."""
    cosine = float(functional.cosine_similarity(update.flatten(), gradient.flatten(), dim=0))
    norm = float(gradient.norm())
    return cosine, float(update.norm()) / norm if norm else float("nan")


def backpropagated(
    net: Network, dynamics: Dynamics, parameters: Parameters, x: Tensor, labels: Tensor
) -> list[Tensor]:
    """Return minus each link's gradient by BPTT, in parts of `CHUNK` images, since every step is kept."""
    parts = [
        backprop.update(net, dynamics, parameters, some, them).delta.weights
        for some, them in zip(x.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    sizes = [len(some) / len(x) for some in x.split(CHUNK)]
    return [
        torch.stack([size * g for size, g in zip(sizes, each, strict=True)]).sum(0)
        for each in zip(*parts, strict=True)
    ]


class Start(NamedTuple):
    """Weights, batch and reference that all variants of a seed share."""

    parameters: Parameters
    #: Pixels of the batch.
    x: Tensor
    labels: Tensor
    #: `backpropagated` of the convergent network.
    gradient: list[Tensor]


@lru_cache(maxsize=len(POOLINGS))
def start(
    pooling: str, data: str, samples: int, epochs: int, batch: int, seed: int, data_dir: Path | None
) -> Start:
    """Return weights after a short training of the convergent network, and a batch with its gradient."""
    rates = tuple(2 * rate for rate in BEST.rates)
    dynamics = Dynamics(64, 16, 1, beta=0.5, spiking=False)
    c = Configuration("base", "", "", "", network(pooling), dynamics, rates, batch=25)
    known = images(data, data_dir)
    parameters = train(SystemRun(c, samples, epochs, seed), known).parameters
    numbers = torch.from_numpy(order(len(known.train_images), seed, 1 << 20)[:batch].copy())
    x, labels = pixels(known.train_images[numbers]), known.train_labels[numbers]
    gradient = backpropagated(c.network, replace(CONVERGENT, free=SETTLED), parameters, x, labels)
    return Start(parameters, x, labels, gradient)


def measure(variant: Variant, budget: Budget, seed: int, data_dir: Path | None) -> dict[str, float]:
    """Return cosine_L and ratio_L against the convergent network's gradient, for each link L of `LINKS`; for
    spiking dynamics also surrogate_cosine_L and surrogate_ratio_L."""
    net = network(variant.pooling)
    parameters, x, labels, gradient = start(variant.pooling, seed=seed, data_dir=data_dir, **budget.values)
    update = equilibrium.update(net, variant.dynamics, parameters, x, labels).delta.weights
    references = {"": gradient}
    if variant.dynamics.spiking:
        references["surrogate_"] = backpropagated(net, variant.dynamics, parameters, x, labels)
    figures: dict[str, float] = {}
    for prefix, reference in references.items():
        for link, ours, theirs in zip(LINKS, update, reference, strict=True):
            cosine, ratio = agreement(ours, theirs)
            figures |= {f"{prefix}cosine_{link}": cosine, f"{prefix}ratio_{link}": ratio}
    return figures


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each variant; a seed's weights are trained once."""
    for variant in VARIANTS:
        facts = [budget.values, plain(variant), plain(network(variant.pooling)), SETTLED]
        labels = {"group": variant.group, "variant": variant.name}
        yield Cell(labels, seed, facts, partial(measure, variant, budget, seed, data_dir))


def intro(budget: Budget) -> str:
    """Return the text above the table."""
    return (
        f"Budget {budget.name}, batch {budget.values['batch']}: update of equilibrium propagation against "
        "BPTT's gradient. The paper gives no figures, but states that EP's gradients approximate BPTT's for "
        "a small beta."
    )


KINDS = {"cosine": "cos", "ratio": "norm", "surrogate_cosine": "cos to surrogate"}
COLUMNS = [page.Column(f"{head} {link}", f"{kind}_{link}") for kind, head in KINDS.items() for link in LINKS]
PICTURE = page.dots(
    {
        "cosine of the EP update with BPTT's gradient": {link: f"cosine_{link}" for link in LINKS},
        "ratio of norms": {link: f"ratio_{link}" for link in LINKS},
    }
)

STUDY = Study("gradient", BUDGETS, seed_cells, page.report(intro, COLUMNS, PICTURE), partial=True)
