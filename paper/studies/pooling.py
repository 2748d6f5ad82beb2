"""The paper's Figures 2 and 3: what reaches a layer from below and from above, by pooling, spiking and not.

The network, and its signals X and Y, are those of `layer_signals`. The paper doesn't say what is above its middle, nor whether
the weights were trained, nor whether sums are of signed values. So all of these are varied: what is above; initial weights at
two scales, and weights that Adam trained through the same layers, feed-forward. The constants are Table I's for MNIST, with a
shorter free phase, or with its own.

Sums are over a map, of magnitudes or of signed values, whose magnitude counts then; mean over channels, samples and every fifth
step of the phase with +beta.

What pooling does to learning is measured on 2C2FC of 8-16-64 with the constants of `table2`'s tuned variant, since those of
Table I don't learn at such widths.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from matplotlib import pyplot as plt

from golden.training import data as datasets
from golden.training.data import Data
from golden.training.epoch import order
from paper.systems.configuration import Configuration
from paper.systems.configurations import table_two
from paper.systems.network import Parameters
from paper.systems.neuron import Dynamics
from paper.systems.published import TABLE_I
from paper.systems.train import SystemRun, error, pixels, train
from plumbing.axes import plain_ticks

from . import page
from .layer_signals import MIDDLE, SIGNALS, TOPS, five_layers, signals, taught
from .study import GIBIBYTE, Budget, Cell, Row, Study, plain

NETS = ("convergent", "spiking")
POOLINGS = ("maximum", "average")
#: Factors on the initial weights: with average pooling, those of torch (1) leave the deep layers nearly silent.
GAINS = (1.0, 2.0)
TRAINED = "trained"
LEARNED = "2C2FC, learned"

#: measured: digits for each seed. samples, epochs, tested: of the training of 2C2FC. free: steps of the free phase; more than
#: the first are for initial weights x 2 alone. taught: digits that the five layers are trained with, once.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "measured": 10, "samples": 500, "epochs": 2, "tested": 200, "free": (40,), "taught": 200},
        threads=1,
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {"data": "mnist", "measured": 100, "samples": 1000, "epochs": 3, "tested": 1000, "free": (40, 250), "taught": 20000},
        threads=1,
    ),
    Budget(
        "paper",
        5,
        4 * GIBIBYTE,
        {"data": "mnist", "measured": 2000, "samples": 60000, "epochs": 5, "tested": 10000, "free": (250,), "taught": 60000},
    ),
)


def nothing() -> dict[str, float]:
    """All columns of the table, empty."""
    columns = [f"{kind}_{way}_{n}" for n in MIDDLE for way in ("forward", "backward") for kind in ("sum", "net")]
    columns += [f"{kind}_{name}_{n}" for name in SIGNALS for n in MIDDLE for kind in ("mean", "deviation")]
    return dict.fromkeys(["error_percent", *columns], float("nan"))


def measure(c: Configuration, budget: Budget, seed: int, images: Data) -> dict[str, float]:
    """Both ways' signals with initial weights, or trained ones where the configuration has epochs."""
    values, device = budget.values, budget.values["device"]
    assert isinstance(c.dynamics, Dynamics)
    parameters = c.network.initial(seed, c.gain, device)
    if c.epochs:
        known = taught(c.network, seed, c.gain, values["taught"], images)
        parameters = Parameters(*(tuple(x.to(device) for x in group) for group in known))
    numbers = torch.from_numpy(order(len(images.train_images), seed, 1 << 20)[: values["measured"]].copy())
    x, labels = pixels(images.train_images[numbers], device), images.train_labels[numbers].to(device)
    found = signals(c.network, c.dynamics, parameters, x, labels)
    figures = nothing()
    for n in MIDDLE:
        for way in ("forward", "backward"):
            moments = found[f"Y_{way}_{n}"]
            figures[f"sum_{way}_{n}"] = moments.magnitude / moments.maps
            figures[f"net_{way}_{n}"] = moments.net / moments.maps
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


def configuration(net: str, pooling: str, top: str, free: int, gain: float, *, trained: bool = False) -> Configuration:
    """Table I's dynamics for MNIST on the five-layer network."""
    best, spiking = TABLE_I["mnist"], net == "spiking"
    dynamics = Dynamics(free, best.nudged, 1, best.prediction, best.rate, best.beta, spiking=spiking, image_spikes=spiking)
    return Configuration(net, "paper", "", "", five_layers(pooling, top), dynamics, (), gain=gain, epochs=int(trained))


def settings(net: str, pooling: str, free: tuple[int, ...]) -> Iterator[tuple[str, str, Configuration]]:
    """(weights, top, configuration) of each row of the first table."""
    for top in TOPS:
        for gain in GAINS:
            yield f"x {gain:g}", top, configuration(net, pooling, top, free[0], gain)
        for long in free[1:]:
            yield f"x {GAINS[-1]:g}, T {long}", top, configuration(net, pooling, top, long, GAINS[-1])
        yield TRAINED, top, configuration(net, pooling, top, free[0], GAINS[-1], trained=True)


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
                measured = [(*row, measure) for row in settings(net, pooling, facts["free"])]
                for weights, top, c, what in [*measured, (LEARNED, "", learning(net, pooling), learned)]:
                    run: Callable[[], dict[str, float]] = partial(what, c, budget, seed, images)
                    labels = {"network": net, "pooling": pooling, "top": top, "weights": weights}
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
            for weights, top, _ in settings(net, pooling, budget.values["free"]):
                mine = page.select(rows, network=net, pooling=pooling, weights=weights, top=top)
                ratios = [ratio(mine, kind, n) for kind in ("sum", "net") for n in MIDDLE]
                lines.append([f"{net}, {pooling}", top, weights, *ratios, PAPER[net, pooling], str(len(mine))])
            mine = page.select(rows, network=net, pooling=pooling, weights=LEARNED)
            errors.append([f"{net}, {pooling}", page.both(mine, "error_percent", 1), str(len(mine))])
    columns = [f"layer {n}{what}" for what in ("", ", signed") for n in MIDDLE]
    header = ["network, pooling", "above layer 4", "weights", *columns, "paper", "seeds"]
    values = budget.values
    text = (
        f"Budget {budget.name}: sum of magnitudes from below over that from above, and the same of signed sums, "
        f"{values['measured']} digits a seed. Weights: initial ones, times a factor, T {values['free'][0]} unless said, "
        f"or trained by Adam with {values['taught']} digits.\n\n"
        f"{page.table(header, lines)}\n\n"
        f"Test error of 2C2FC, 8-16-64, after {budget.values['samples']} samples x {budget.values['epochs']} epochs.\n\n"
        f"{page.table(['network, pooling', 'test error (%)', 'seeds'], errors)}"
    )
    page.write(path, text, picture(rows))
    return text


def ratio(rows: list[Row], kind: str, n: int) -> str:
    """Mean and deviation, over the seeds, of what comes forward to layer n over what comes backward."""
    each = [float(row[f"{kind}_forward_{n}"]) / max(float(row[f"{kind}_backward_{n}"]), 1e-12) for row in rows]
    return page.both([{"ratio": str(x)} for x in each], "ratio", 1)


def picture(rows: list[Row]) -> plt.Figure:
    """Above: sums as in Figure 2. Below: means and deviations as in Figure 3. Initial weights x 2, 10 outputs above."""
    figure, panels = plt.subplots(3, 4, figsize=(15, 9), layout="constrained", sharey="row")
    columns = [(net, pooling) for net in NETS for pooling in POOLINGS]
    for column, (net, pooling) in enumerate(columns):
        mine = page.select(rows, network=net, pooling=pooling, weights=f"x {GAINS[-1]:g}", top=next(iter(TOPS)))
        for way, shift in (("forward", -0.2), ("backward", 0.2)):
            sums = [page.mean(mine, f"sum_{way}_{n}") for n in MIDDLE]
            panels[0, column].bar([n + shift for n in MIDDLE], sums, 0.4, label=way)
        for line, kind in ((1, "mean"), (2, "deviation")):
            for name in SIGNALS:
                panels[line, column].plot(MIDDLE, [page.mean(mine, f"{kind}_{name}_{n}") for n in MIDDLE], "o-", label=name)
        panels[0, column].set(title=f"{net}, {pooling} pooling", yscale="log")
        plain_ticks(panels[0, column].yaxis)
        panels[2, column].set(xlabel="layer")
    for line, label in zip(panels, ("sum of magnitudes", "mean", "deviation"), strict=True):
        line[0].set_ylabel(label)
        line[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    for axes in panels.flat:
        axes.set_xticks(MIDDLE)
        axes.grid(alpha=0.3)
    return figure


STUDY = Study("pooling", BUDGETS, cells, report, partial=True, devices=True)
