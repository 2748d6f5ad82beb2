"""How well equilibrium propagation's update is the gradient, per layer: over beta, lambda, T and averaging window.

The reference is backpropagation through time of the same network and batch: for both kinds of network that of the convergent
one, which is the exact gradient of what the dynamics settle to, and for the spiking one also that of its own spikes with
a surrogate derivative. Networks are 8-16-64-10 with average pooling, or with maximum pooling where a row says so; weights
are after a short training of the convergent network. Cosine 1 and norm ratio 1 would be the gradient itself.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.nn import functional

from golden.training import data as datasets
from golden.training.data import Data
from golden.training.epoch import order
from paper.systems import backprop, equilibrium
from paper.systems.configuration import Configuration
from paper.systems.network import Network, Parameters
from paper.systems.neuron import Dynamics
from paper.systems.own import two_conv_two_dense
from paper.systems.published import TABLE_I
from paper.systems.train import SystemRun, pixels, train
from plumbing.axes import plain_ticks

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study, plain

BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"data": "embedded", "samples": 500, "epochs": 2, "batch": 20}, threads=1),
    Budget("cpu", 3, 2 * GIBIBYTE, {"data": "mnist", "samples": 5000, "epochs": 1, "batch": 125}, threads=1),
    Budget("paper", 5, 8 * GIBIBYTE, {"data": "mnist", "samples": 60000, "epochs": 5, "batch": 500}),
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
    """A row: what differs from its group's base."""

    group: str
    name: str
    dynamics: Dynamics
    pooling: str = "average"


def varied(group: str, base: Dynamics, **values: tuple[float, ...]) -> list[Variant]:
    """One quantity at a time."""
    return [
        Variant(group, f"{name} {value:g}", replace(base, **{name: value}))  # type: ignore[arg-type]
        for name, each in values.items()
        for value in each
    ]


VARIANTS = (
    Variant("convergent", "beta 0.1, T 256/64", CONVERGENT),
    *varied("convergent", CONVERGENT, beta=(0.01, 0.02, 0.05, 0.2, 0.5, 1.0), free=(8, 16, 32, 64), nudged=(5, 10, 20)),
    Variant("convergent", "two phases", replace(CONVERGENT, three_phases=False)),
    Variant("convergent", "maximum pooling", CONVERGENT, "maximum"),
    Variant("spiking, Table I", "lambda 0.6, beta 0.1, window 1", PAPER),
    *varied("spiking, Table I", PAPER, window=(8, 25), beta=(0.2, 0.5), prediction=(0.25,)),
    Variant("spiking, Table I", "static image", replace(PAPER, image_spikes=False)),
    Variant("spiking, tuned", "lambda 0.25, beta 0.5, T 64/32, window 16", TUNED),
    *varied("spiking, tuned", TUNED, window=(1, 4, 8, 32), beta=(0.05, 0.1, 0.2, 1.0), prediction=(1.0, 0.5, 0.125)),
    *varied("spiking, tuned", TUNED, free=(16, 32, 128), nudged=(16, 64)),
    Variant("spiking, tuned", "lambda 0.503/t^0.292", replace(TUNED, prediction=0.503, prediction_decay=0.292)),
    Variant("spiking, tuned", "maximum pooling", TUNED, "maximum"),
)


def network(pooling: str) -> Network:
    """8-16-64-10."""
    return replace(two_conv_two_dense(8, 16, 64), pooling=pooling)


@lru_cache
def _images(data: str, data_dir: Path | None) -> Data:
    return datasets.load(data, data_dir)


def agreement(update: Tensor, gradient: Tensor) -> tuple[float, float]:
    """Cosine, and norm of the update over that of the gradient (nan where that is 0)."""
    cosine = float(functional.cosine_similarity(update.flatten(), gradient.flatten(), dim=0))
    norm = float(gradient.norm())
    return cosine, float(update.norm()) / norm if norm else float("nan")


def backpropagated(net: Network, dynamics: Dynamics, parameters: Parameters, x: Tensor, labels: Tensor) -> list[Tensor]:
    """Minus the gradient by backpropagation through time, for each link; in parts, since every step is kept."""
    parts = [
        backprop.update(net, dynamics, parameters, some, them).delta.weights
        for some, them in zip(x.split(CHUNK), labels.split(CHUNK), strict=True)
    ]
    sizes = [len(some) / len(x) for some in x.split(CHUNK)]
    return [torch.stack([size * g for size, g in zip(sizes, each, strict=True)]).sum(0) for each in zip(*parts, strict=True)]


class Start(NamedTuple):
    """What the updates of a seed's variants have in common."""

    parameters: Parameters
    #: Pixels of the batch.
    x: Tensor
    labels: Tensor
    #: `backpropagated` of the convergent network.
    gradient: list[Tensor]


@lru_cache(maxsize=len(POOLINGS))
def start(
    pooling: str, data: str, samples: int, epochs: int, batch: int, seed: int, device: str, data_dir: Path | None
) -> Start:
    """Weights after a short training of the convergent network, and a batch of training images."""
    rates = tuple(2 * rate for rate in BEST.rates)
    dynamics = Dynamics(64, 16, 1, beta=0.5, spiking=False)
    c = Configuration("base", "", "", "", network(pooling), dynamics, rates, batch=25)
    images = _images(data, data_dir)
    parameters = train(SystemRun(c, samples, epochs, seed, device=device), images).parameters
    numbers = torch.from_numpy(order(len(images.train_images), seed, 1 << 20)[:batch].copy())
    x, labels = pixels(images.train_images[numbers], device), images.train_labels[numbers].to(device)
    gradient = backpropagated(c.network, replace(CONVERGENT, free=SETTLED), parameters, x, labels)
    return Start(parameters, x, labels, gradient)


def measure(variant: Variant, budget: Budget, seed: int, data_dir: Path | None) -> dict[str, float]:
    """cosine_L, ratio_L against the convergent network's gradient; surrogate_cosine_L, surrogate_ratio_L."""
    net = network(variant.pooling)
    parameters, x, labels, gradient = start(variant.pooling, seed=seed, data_dir=data_dir, **budget.values)
    update = equilibrium.update(net, variant.dynamics, parameters, x, labels).delta.weights
    references = {"": gradient}
    if variant.dynamics.spiking:
        references["surrogate_"] = backpropagated(net, variant.dynamics, parameters, x, labels)
    figures: dict[str, float] = {}
    for prefix in ("", "surrogate_"):
        for n, link in enumerate(LINKS):
            found = agreement(update[n], references[prefix][n]) if prefix in references else (float("nan"), float("nan"))
            figures |= {f"{prefix}cosine_{link}": found[0], f"{prefix}ratio_{link}": found[1]}
    return figures


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """One for each variant and seed; a seed's weights are trained once."""
    datasets.load(budget.values["data"], data_dir)
    facts = {name: value for name, value in budget.values.items() if name != "device"}
    return [
        Cell(
            {"group": variant.group, "variant": variant.name},
            seed,
            [facts, plain(variant), plain(network(variant.pooling)), SETTLED],
            partial(measure, variant, budget, seed, data_dir),
        )
        for seed in range(1, seeds + 1)
        for variant in VARIANTS
    ]


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Cosines and norm ratios of all variants."""
    lines = []
    for variant in VARIANTS:
        mine = page.select(rows, group=variant.group, variant=variant.name)
        own = [page.both(mine, f"surrogate_cosine_{link}") if variant.dynamics.spiking else "" for link in LINKS]
        cosines = [page.both(mine, f"cosine_{link}") for link in LINKS]
        ratios = [page.both(mine, f"ratio_{link}") for link in LINKS]
        lines.append([f"{variant.group}: {variant.name}", *cosines, *ratios, *own])
    header = ["update", *(f"cos {link}" for link in LINKS), *(f"norm {link}" for link in LINKS)]
    header += [f"cos to surrogate {link}" for link in LINKS]
    intro = (
        f"Budget {budget.name}, batch {budget.values['batch']}: update of equilibrium propagation against BPTT's gradient. "
        "The paper has no figures for this: it says that the gradients of EP approximate those of BPTT for a small beta."
    )
    text = f"{intro}\n\n{page.table(header, lines)}"
    page.write(path, text, picture(rows))
    return text


def picture(rows: list[Row]) -> plt.Figure:
    """Cosine of each link, a bar group for each variant."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 10), layout="constrained", sharey=True)
    names = [f"{variant.group}: {variant.name}" for variant in VARIANTS]
    for n, link in enumerate(LINKS):
        for axes, kind in zip(panels, ("cosine", "ratio"), strict=True):
            values = [page.mean(page.select(rows, group=v.group, variant=v.name), f"{kind}_{link}") for v in VARIANTS]
            axes.plot(values, [y + 0.15 * n for y in range(len(names))], "o", markersize=4, label=link)
    panels[0].set(xlabel="cosine of the EP update with BPTT's gradient", xlim=(-0.5, 1.02), yticks=range(len(names)))
    panels[0].set_yticklabels(names, fontsize=8)
    panels[0].invert_yaxis()
    panels[1].set(xlabel="ratio of norms", xscale="log")
    plain_ticks(panels[1].xaxis)
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.axvline(1, color="0.5", linewidth=1)
        axes.legend()
    return figure


STUDY = Study("gradient", BUDGETS, cells, report, partial=True, devices=True)
