"""The paper's Figures 2 and 3: what reaches a layer from below and from above, by pooling, spiking and not.

The network has five layers, 32-64-128 channels in its middle; the paper gives neither the first nor the last layer, nor the
padding, nor whether the weights were trained. Here: 16-32-64-128 channels with 3x3 kernels, padded by 1 so that four poolings
fit 28x28, then 10 outputs; initial weights at two scales. The constants are Table I's for MNIST, with a shorter free phase.

X is what was sent: forward by layer n-1, backward by layer n+1. Y is what it becomes, P(w_n * X) and w_(n+1) ~* P^-1(X).
Sums are of magnitudes over a map, mean over channels, samples and every fifth step of the phase with +beta.

What pooling does to learning is measured on 2C2FC of 8-16-64 with the constants of `table2`'s tuned variant, since those of
Table I don't learn at such widths.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from golden.contract.shapes import Dense
from golden.paper.systems.configurations import TABLE_I, Configuration, table_two
from golden.paper.systems.network import Network, PaddedConv, Parameters, backward, forward, kernels
from golden.paper.systems.neuron import Dynamics
from golden.paper.systems.phases import steps
from golden.paper.systems.train import SystemRun, error, pixels, train
from golden.training import data as datasets
from golden.training.data import Data

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study, plain

#: Layers of the middle, counted from 1.
MIDDLE = (2, 3, 4)
NETS = ("convergent", "spiking")
POOLINGS = ("maximum", "average")
#: Factors on the initial weights: with average pooling, those of torch (1) leave the deep layers nearly silent.
GAINS = (1.0, 2.0)
LEARNED = "2C2FC, learned"
#: What Figure 3 shows, in its order.
SIGNALS = ("X_forward", "Y_forward", "X_backward", "Y_backward")
BATCH = 50
#: Steps of the nudged phase between two that are measured.
STRIDE = 5

#: measured: digits for each seed. samples, epochs, tested: of the training.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "measured": 50, "samples": 500, "epochs": 2, "tested": 200, "free": 40},
        threads=1,
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {"data": "mnist", "measured": 667, "samples": 1000, "epochs": 3, "tested": 1000, "free": 40},
        threads=1,
    ),
    Budget(
        "paper",
        5,
        4 * GIBIBYTE,
        {"data": "mnist", "measured": 2000, "samples": 60000, "epochs": 5, "tested": 10000, "free": 250},
    ),
)


@dataclass
class Moments:
    """Running sums of a signal and of its squares."""

    #: Values.
    count: int = 0
    #: Of all channels, samples and steps.
    maps: int = 0
    magnitude: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def add(self, x: Tensor) -> None:
        self.count += x.numel()
        self.maps += x.shape[0] * x.shape[1]
        self.magnitude += float(x.abs().sum())
        self.total += float(x.sum())
        self.squares += float(x.square().sum())

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def deviation(self) -> float:
        return max(self.squares / self.count - self.mean**2, 0.0) ** 0.5


def five_layers(pooling: str) -> Network:
    """See the module's docstring."""
    return Network((*(PaddedConv(channels, 3, 1) for channels in (16, 32, 64, 128)), Dense(10)), pooling)


@torch.no_grad()
def signals(network: Network, dynamics: Dynamics, parameters: Parameters, x: Tensor, labels: Tensor) -> dict[str, Moments]:
    """Of each signal and middle layer, such as "X_forward_2", over the phase with +beta."""
    found = {f"{name}_{n}": Moments() for name in SIGNALS for n in MIDDLE}
    w = kernels(network.links, parameters.weights)
    for part, target in zip(x.split(BATCH), labels.split(BATCH), strict=True):
        for step in steps(network, dynamics, parameters, part, target, (1,)):
            if step.phase == "free" or step.t % STRIDE:
                continue
            sent = [layer.s for layer in step.layers]  # of layers 1..5
            for n in MIDDLE:
                below = forward(network.links[n - 1], sent[n - 2], w[n - 1])[0]
                indices = forward(network.links[n], sent[n - 1], w[n])[1]
                above = backward(network.links[n], sent[n], w[n], indices)
                for name, signal in zip(SIGNALS, (sent[n - 2], below, sent[n], above), strict=True):
                    found[f"{name}_{n}"].add(signal)
    return found


def nothing() -> dict[str, float]:
    """All columns of the table, empty."""
    columns = [f"sum_{way}_{n}" for n in MIDDLE for way in ("forward", "backward")]
    columns += [f"{kind}_{name}_{n}" for name in SIGNALS for n in MIDDLE for kind in ("mean", "deviation")]
    return dict.fromkeys(["error_percent", *columns], float("nan"))


def measure(c: Configuration, budget: Budget, seed: int, images: Data) -> dict[str, float]:
    """Both ways' signals with initial weights."""
    values, device = budget.values, budget.values["device"]
    assert isinstance(c.dynamics, Dynamics)
    parameters = c.network.initial(seed, c.gain, device)
    numbers = torch.from_numpy(datasets.order(len(images.train_images), seed, 1 << 20)[: values["measured"]].copy())
    x, labels = pixels(images.train_images[numbers], device), images.train_labels[numbers].to(device)
    found = signals(c.network, c.dynamics, parameters, x, labels)
    figures = nothing()
    for n in MIDDLE:
        for way in ("forward", "backward"):
            moments = found[f"Y_{way}_{n}"]
            figures[f"sum_{way}_{n}"] = moments.magnitude / moments.maps
    for name, moments in found.items():
        figures |= {f"mean_{name}": moments.mean, f"deviation_{name}": moments.deviation}
    return figures


def learned(c: Configuration, budget: Budget, seed: int, images: Data) -> dict[str, float]:
    """Test error after training."""
    values = budget.values
    run = SystemRun(c, values["samples"], values["epochs"], seed, device=values["device"])
    parameters = train(run, images).parameters
    wrong = error(run, parameters, images.test_images[: values["tested"]], images.test_labels[: values["tested"]])
    return nothing() | {"error_percent": wrong}


def configuration(net: str, pooling: str, free: int, gain: float) -> Configuration:
    """Table I's dynamics for MNIST on the five-layer network."""
    best, spiking = TABLE_I["mnist"], net == "spiking"
    dynamics = Dynamics(free, best.nudged, 1, best.prediction, best.rate, best.beta, spiking=spiking, image_spikes=spiking)
    return Configuration(net, "paper", "", "", five_layers(pooling), dynamics, (), gain=gain)


def learning(net: str, pooling: str) -> Configuration:
    """The tuned variant of `snn-ep` with either pooling; not spiking: the same network, loss and steps without spikes.

    With maximum pooling the initial weights are torch's: 1.5 times as large, its activity saturates.
    """
    tuned = next(c for c in table_two("mnist", widths=(8, 16, 64)) if (c.name, c.variant) == ("snn-ep", "tuned"))
    assert isinstance(tuned.dynamics, Dynamics)
    dynamics = replace(tuned.dynamics, spiking=net == "spiking")
    gain = 1.0 if pooling == "maximum" else tuned.gain
    return replace(tuned, network=replace(tuned.network, pooling=pooling), dynamics=dynamics, gain=gain)


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """For each seed, network and pooling: one for each scale of the weights, and one that learns."""
    images = datasets.load(budget.values["data"], data_dir)
    facts = {name: value for name, value in budget.values.items() if name != "device"}
    made = []
    for seed in range(1, seeds + 1):
        for net in NETS:
            for pooling in POOLINGS:
                chosen = [(f"x {gain:g}", measure, configuration(net, pooling, facts["free"], gain)) for gain in GAINS]
                for weights, what, c in [*chosen, (LEARNED, learned, learning(net, pooling))]:
                    run: Callable[[], dict[str, float]] = partial(what, c, budget, seed, images)
                    labels = {"network": net, "pooling": pooling, "weights": weights}
                    made.append(Cell(labels, seed, [facts, plain(c)], run))
    return made


#: What the paper says of Figure 2, in words; it gives no figures.
PAPER = {
    ("convergent", "maximum"): "less than 4",
    ("spiking", "maximum"): "up to 10, worst in the shallowest",
    ("spiking", "average"): "imbalance mitigated",
    ("convergent", "average"): "not shown",
}


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Forward over backward sums in each middle layer; what pooling does to the test error; Figures 2 and 3."""
    lines, errors = [], []
    for net in NETS:
        for pooling in POOLINGS:
            for gain in GAINS:
                mine = page.select(rows, network=net, pooling=pooling, weights=f"x {gain:g}")
                for row in mine:
                    for n in MIDDLE:
                        row[f"ratio_{n}"] = str(float(row[f"sum_forward_{n}"]) / max(float(row[f"sum_backward_{n}"]), 1e-12))
                ratios = [page.both(mine, f"ratio_{n}", 1) for n in MIDDLE]
                lines.append([f"{net}, {pooling}, x {gain:g}", *ratios, PAPER[net, pooling], str(len(mine))])
            mine = page.select(rows, network=net, pooling=pooling, weights=LEARNED)
            errors.append([f"{net}, {pooling}", page.both(mine, "error_percent", 1), str(len(mine))])
    header = ["network, pooling, initial weights", *(f"layer {n}" for n in MIDDLE), "paper", "seeds"]
    text = (
        f"Budget {budget.name}: sum of magnitudes from below over that from above, {budget.values['measured']} digits "
        f"a seed.\n\n"
        f"{page.table(header, lines)}\n\n"
        f"Test error of 2C2FC, 8-16-64, after {budget.values['samples']} samples x {budget.values['epochs']} epochs.\n\n"
        f"{page.table(['network, pooling', 'test error (%)', 'seeds'], errors)}"
    )
    page.write(path, text, picture(rows))
    return text


def picture(rows: list[Row]) -> plt.Figure:
    """Above: sums as in Figure 2. Below: means and deviations as in Figure 3. Initial weights x 2."""
    figure, panels = plt.subplots(3, 4, figsize=(15, 9), layout="constrained", sharey="row")
    columns = [(net, pooling) for net in NETS for pooling in POOLINGS]
    for column, (net, pooling) in enumerate(columns):
        mine = page.select(rows, network=net, pooling=pooling, weights=f"x {GAINS[-1]:g}")
        for way, shift in (("forward", -0.2), ("backward", 0.2)):
            sums = [page.mean(mine, f"sum_{way}_{n}") for n in MIDDLE]
            panels[0, column].bar([n + shift for n in MIDDLE], sums, 0.4, label=way)
        for line, kind in ((1, "mean"), (2, "deviation")):
            for name in SIGNALS:
                panels[line, column].plot(MIDDLE, [page.mean(mine, f"{kind}_{name}_{n}") for n in MIDDLE], "o-", label=name)
        panels[0, column].set(title=f"{net}, {pooling} pooling", yscale="log")
        panels[2, column].set(xlabel="layer")
    for axes, label in zip(panels[:, 0], ("sum of magnitudes", "mean", "deviation"), strict=True):
        axes.set_ylabel(label)
        axes.legend()
    for axes in panels.flat:
        axes.set_xticks(MIDDLE)
        axes.grid(alpha=0.3)
    return figure


STUDY = Study("pooling", BUDGETS, cells, report, partial=True, devices=True)
