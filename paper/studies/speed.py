"""How fast the two compiled engines are, as a share of a plain matrix product of the same type on the same processor.

The share says what an engine leaves unused; milliseconds depend on the machine. Both are of one thread, the best of a few.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from golden.contract.presets import PRESETS
from golden.contract.spec import CLASSES, Spec
from golden.model import native
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training import data as datasets
from paper.systems import compiled
from paper.systems.network import Network
from paper.systems.neuron import Dynamics
from paper.systems.own import SCALE_WIDTHS, two_conv_two_dense
from plumbing.axes import plain_ticks

from . import page
from .study import GIBIBYTE, Budget, Cell, Row, Study

#: Rows and columns of the plain product's matrices.
SIDE = 768

#: floats: widths of a 2C2FC in float32, with the images of a batch. bytes: presets in the gateware's arithmetic, likewise.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"floats": {SCALE_WIDTHS: 16}, "bytes": {"large": 32}, "repeat": 2}, threads=1),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {"floats": {SCALE_WIDTHS: 32, (128, 256, 512): 32}, "bytes": {"small": 128, "large": 128, "paper": 128}, "repeat": 5},
        threads=1,
    ),
)

#: Table I's lambda and epsilon, with a lambda that falls: all that the loop can do to a neuron. 64 steps.
STEPS = Dynamics(32, 16, 1, 0.6, 0.9, 0.1, image_spikes=True, prediction_decay=0.5)


def best(work: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of `repeat` runs, after one that doesn't count."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def figures(products: float, seconds: float, plain: float) -> dict[str, float]:
    """ms a sample; products: multiplications of a sample, seconds: of a sample, plain: seconds of the plain product."""
    rate, of_plain = products / seconds / 1e9, SIDE**3 / plain / 1e9
    return {"ms": 1e3 * seconds, "gmac_s": rate, "plain_gmac_s": of_plain, "share": rate / of_plain}


def float_products(network: Network, steps: int) -> float:
    """Of a sample, in both directions, but for the first layer's: nothing goes back to the image."""
    positions = [link.post[1] * link.post[2] for link in network.links]
    sizes = [p * w.numel() for p, w in zip(positions, network.initial(1).weights, strict=True)]
    return steps * (2.0 * sum(sizes) - sizes[0])


def byte_products(spec: Spec) -> float:
    """The same, without the image's, which are made once a sample."""
    sizes = [
        (spec.layers[b.index].positions if b.kind == "conv" else 1) * math.prod(b.weight_shape)
        for b in spec.bundles[1:]
    ]
    return 2.0 * sum(sizes) * (spec.schedule.free + 2 * spec.schedule.nudged)


def measure_floats(widths: tuple[int, int, int], batch: int, repeat: int) -> dict[str, float]:
    """`compiled.averages`, three phases of a 2C2FC."""
    network = two_conv_two_dense(*widths)
    weights, random = network.initial(1), torch.Generator().manual_seed(1)
    pixels = torch.rand(batch, 1, 28, 28, generator=random, device="cpu")
    labels = torch.randint(CLASSES, (batch,), generator=random, device="cpu")
    square: Tensor = torch.rand(SIDE, SIDE, generator=random, device="cpu")
    seconds = best(lambda: compiled.averages(network, STEPS, weights, pixels, labels, threads=1), repeat) / batch
    products = float_products(network, STEPS.free + 2 * STEPS.nudged)
    return figures(products, seconds, best(lambda: square @ square, repeat))


def measure_bytes(name: str, batch: int, repeat: int) -> dict[str, float]:
    """`native.run`: phases, updates, and working copies of the weights."""
    spec = PRESETS[name]
    parameters, images = initial(spec, 1), datasets.load("embedded", None)
    pixels, labels = images.train_images[:batch], images.train_labels[:batch]
    one = torch.randint(-128, 128, (SIDE, SIDE), generator=torch.Generator().manual_seed(1), dtype=torch.int8, device="cpu")
    seconds = best(lambda: native.run(spec, Settings.of(spec), parameters, pixels, labels, 1), repeat) / batch
    return figures(byte_products(spec), seconds, best(lambda: torch._int_mm(one, one), repeat))


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """One for each engine and network; a seed is a repetition."""
    values, made = budget.values, []
    for seed in range(1, seeds + 1):
        for widths, batch in values["floats"].items():
            labels = {"engine": "float32", "network": "-".join(map(str, widths))}
            made.append(Cell(labels, seed, [batch, values["repeat"]], partial(measure_floats, widths, batch, values["repeat"])))
        for name, batch in values["bytes"].items():
            labels = {"engine": "int8", "network": name}
            made.append(Cell(labels, seed, [batch, values["repeat"]], partial(measure_bytes, name, batch, values["repeat"])))
    return made


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Milliseconds and rates of each engine; bars of the two rates."""
    names = list(dict.fromkeys((row["engine"], row["network"]) for row in rows))
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    lines = []
    for n, (engine, network) in enumerate(names):
        mine = page.select(rows, engine=engine, network=network)
        kinds = (("ms", 2), ("gmac_s", 0), ("plain_gmac_s", 0), ("share", 2))
        lines.append([f"{engine}, {network}", *(page.both(mine, kind, digits) for kind, digits in kinds), str(len(mine))])
        for shift, kind, colour, label in ((-0.2, "gmac_s", "C0", "the engine"), (0.2, "plain_gmac_s", "C7", "plain product")):
            bar = axes.bar(n + shift, page.mean(mine, kind), 0.4, color=colour, label=label if n == 0 else None)
            axes.bar_label(bar, fmt="{:.0f}")
    axes.set_xticks(range(len(names)), [f"{engine}\n{network}" for engine, network in names])
    axes.set(ylabel="10⁹ products a second, one thread", yscale="log", title=f"budget {budget.name}")
    axes.margins(y=0.15)
    plain_ticks(axes.yaxis)
    axes.grid(alpha=0.3, axis="y")
    axes.legend()
    header = ["engine, network", "ms a sample", "GMAC/s", f"plain product of {SIDE} x {SIDE}, GMAC/s", "share", "repetitions"]
    intro = (
        f"Budget {budget.name}: one thread. float32: the paper's systems, phases of {STEPS.free} + 2 x {STEPS.nudged} steps. "
        "int8: training in the gateware's arithmetic, with the preset's sweeps, updates included."
    )
    text = f"{intro}\n\n{page.table(header, lines)}"
    page.write(path, text, figure)
    return text


STUDY = Study("speed", BUDGETS, cells, report)
