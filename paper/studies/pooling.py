"""The paper's Figures 2 and 3: forward and backward drives of a layer, by pooling, with and without spikes.

The network and its signals X and Y are those of `layer_signals`. The paper states neither the layers above
the middle, nor whether the weights were trained, nor whether sums are of signed values, so all of these are
varied: the layers above; initial weights at two scales, and weights trained by Adam through the same layers
as a feed-forward network. The constants are Table I's for MNIST, with a shorter free phase or with its own.

Sums are over a map, either of magnitudes or the magnitude of the signed sum, averaged over channels, samples
and every fifth step of the phase with +beta.

The effect of pooling on learning is measured on 2C2FC of 8-16-64 with the constants of `table2`'s tuned
variant, since networks this narrow don't learn with those of Table I.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from nudge.golden.training.epoch import order
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.published import TABLE_I
from nudge.paper.systems.train import SystemRun, pixels, test_error, train
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Row, Study, images, plain

from .layer_signals import MIDDLE, SIGNALS, TOPS, five_layers, signals, taught

NETS = ("convergent", "spiking")
POOLINGS = ("maximum", "average")
#: Gains of the initial weights: with average pooling, torch's (1) leave the deep layers nearly silent.
GAINS = (1.0, 2.0)
TRAINED = "trained"
LEARNED = "2C2FC, learned"

#: measured: digits per seed. samples, epochs, tested: for the training of 2C2FC. free: steps of the free
#: phase; values after the first are for initial weights x 2 only. taught: digits of the five layers' one
#: epoch of training.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {
            "data": "embedded",
            "measured": 10,
            "samples": 500,
            "epochs": 2,
            "tested": 200,
            "free": (40,),
            "taught": 200,
        },
        threads=1,
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {
            "data": "mnist",
            "measured": 100,
            "samples": 1000,
            "epochs": 3,
            "tested": 1000,
            "free": (40, 250),
            "taught": 20000,
        },
        threads=1,
    ),
)

Values = dict[str, Any]


def measure(c: Configuration, values: Values, seed: int, data_dir: Path | None) -> dict[str, float]:
    """Return figures of the signals, with weights that are trained if the configuration has epochs."""
    known = images(values["data"], data_dir)
    parameters = c.network.initial(seed, c.gain)
    if c.epochs:
        parameters = taught(c.network, seed, c.gain, values["taught"], known)
    numbers = torch.from_numpy(order(len(known.train_images), seed, 1 << 20)[: values["measured"]].copy())
    assert isinstance(c.dynamics, Dynamics)
    found = signals(
        c.network, c.dynamics, parameters, pixels(known.train_images[numbers]), known.train_labels[numbers]
    )
    figures = {}
    for n in MIDDLE:
        for way in ("forward", "backward"):
            moments = found[f"Y_{way}_{n}"]
            figures[f"sum_{way}_{n}"] = moments.magnitude / moments.maps
            figures[f"net_{way}_{n}"] = moments.net / moments.maps
    for name, moments in found.items():
        figures |= {f"mean_{name}": moments.mean, f"deviation_{name}": moments.deviation}
    return figures


def learned(c: Configuration, values: Values, seed: int, data_dir: Path | None) -> dict[str, float]:
    """Train, and return the test error."""
    run = SystemRun(c, values["samples"], values["epochs"], seed, values["tested"])
    known = images(values["data"], data_dir)
    return {"error_percent": test_error(run, train(run, known).parameters, known)}


def configuration(
    net: str, pooling: str, top: str, free: int, gain: float, *, trained: bool = False
) -> Configuration:
    """Return the five-layer network with Table I's dynamics for MNIST."""
    best, spiking = TABLE_I["mnist"], net == "spiking"
    dynamics = Dynamics(
        free, best.nudged, 1, best.prediction, best.rate, best.beta, spiking=spiking, image_spikes=spiking
    )
    return Configuration(
        net, "paper", "", "", five_layers(pooling, top), dynamics, (), gain=gain, epochs=int(trained)
    )


def settings(net: str, pooling: str, free: tuple[int, ...]) -> Iterator[tuple[str, str, Configuration]]:
    """Yield (weights, top, configuration) of each row whose signals are measured."""
    for top in TOPS:
        for gain in GAINS:
            yield f"x {gain:g}", top, configuration(net, pooling, top, free[0], gain)
        for long in free[1:]:
            yield f"x {GAINS[-1]:g}, T {long}", top, configuration(net, pooling, top, long, GAINS[-1])
        yield TRAINED, top, configuration(net, pooling, top, free[0], GAINS[-1], trained=True)


def learning(net: str, pooling: str) -> Configuration:
    """Return the tuned variant of `snn-ep` with either pooling, without spikes if net is "convergent".

    With maximum pooling the gain of the initial weights is torch's, 1: at 1.5 its activity saturates.
    """
    tuned = next(
        c for c in table_two("mnist", widths=(8, 16, 64)) if (c.name, c.variant) == ("snn-ep", "tuned")
    )
    assert isinstance(tuned.dynamics, Dynamics)
    dynamics = replace(tuned.dynamics, spiking=net == "spiking")
    gain = 1.0 if pooling == "maximum" else tuned.gain
    return replace(tuned, network=replace(tuned.network, pooling=pooling), dynamics=dynamics, gain=gain)


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield, for each network and pooling, a cell for each top and kind of weights, and one of training."""
    values = budget.values

    def cell(labels: dict[str, str], c: Configuration, what: Callable[..., dict[str, float]]) -> Cell:
        return Cell(labels, seed, [values, plain(c)], partial(what, c, values, seed, data_dir))

    for net in NETS:
        for pooling in POOLINGS:
            labels = {"network": net, "pooling": pooling}
            for weights, top, c in settings(net, pooling, values["free"]):
                yield cell(labels | {"top": top, "weights": weights}, c, measure)
            yield cell(labels | {"top": "", "weights": LEARNED}, learning(net, pooling), learned)


#: The paper's statements about Figure 2; it gives no numbers.
PAPER = {
    ("convergent", "maximum"): "less than 4",
    ("spiking", "maximum"): "up to 10, worst in the shallowest",
    ("spiking", "average"): "imbalance mitigated",
    ("convergent", "average"): "not shown",
}


def ratio(kind: str, n: int, rows: list[Row]) -> str:
    """Return layer n's forward sum over its backward one, mean and deviation over the seeds."""
    pairs = [[float(row.get(f"{kind}_{way}_{n}", "nan")) for way in ("forward", "backward")] for row in rows]
    return page.both([{"ratio": str(there / max(back, 1e-12))} for there, back in pairs], "ratio", 1)


COLUMNS = [
    *(page.Column(f"layer {n}", partial(ratio, "sum", n)) for n in MIDDLE),
    *(page.Column(f"layer {n}, signed", partial(ratio, "net", n)) for n in MIDDLE),
    page.Column("paper", lambda rows: PAPER[rows[0]["network"], rows[0]["pooling"]]),
    page.Column("test error (%)", "error_percent", 1),
]


def intro(budget: Budget) -> str:
    """Return the text above the table."""
    values = budget.values
    return (
        f"Budget {budget.name}: sum of magnitudes from below over that from above, and the same of signed "
        f"sums, {values['measured']} digits a seed. top: what is above layer 4. Weights: initial ones, times "
        f"a factor, T {values['free'][0]} unless said, or trained by Adam with {values['taught']} digits. "
        f"{LEARNED}: test error of 2C2FC, 8-16-64, after {values['samples']} samples x {values['epochs']} "
        "epochs."
    )


def picture(rows: list[Row]) -> Figure:
    """Draw Figure 2's sums, and Figure 3's means and deviations: initial weights x 2, 10 outputs above."""
    sent, kinds = (
        ("forward", "backward"),
        {"sum": "sum of magnitudes", "mean": "mean", "deviation": "deviation"},
    )
    grid: list[dict[str, list[page.Curve]]] = []
    for kind, told in kinds.items():
        panels: dict[str, list[page.Curve]] = {}
        for net in NETS:
            for pooling in POOLINGS:
                labels = {
                    "network": net,
                    "pooling": pooling,
                    "top": next(iter(TOPS)),
                    "weights": f"x {GAINS[-1]:g}",
                }
                mine = page.select(rows, **labels)
                panels[f"{net}, {pooling} pooling: {told}"] = [
                    (name, MIDDLE, [page.mean(mine, f"{kind}_{name}_{n}") for n in MIDDLE])
                    for name in (sent if kind == "sum" else SIGNALS)
                ]
        grid.append(panels)
    return page.curves(grid, "layer", alike=True)


STUDY = Study("pooling", BUDGETS, seed_cells, page.report(intro, COLUMNS, picture), partial=True)
