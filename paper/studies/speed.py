"""Speed of the two compiled engines, as a share of a plain matrix product of the same type and processor.

The share shows how much of the processor an engine uses; milliseconds depend on the machine. Both are the
best of a few runs on one thread.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.spec import CLASSES, Spec
from nudge.golden.model import native
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.paper.systems import compiled
from nudge.paper.systems.network import Network
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.own import two_conv_two_dense
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Study, images

#: Rows and columns of the plain product's matrices.
SIDE = 768

#: floats: batch by widths of a 2C2FC in float32. bytes: batch by preset, in the gateware's arithmetic.
BUDGETS = (
    Budget(
        "quick", 1, GIBIBYTE, {"floats": {"32-64-256": 16}, "bytes": {"large": 32}, "repeat": 2}, threads=1
    ),
    Budget(
        "cpu",
        3,
        2 * GIBIBYTE,
        {
            "floats": {"32-64-256": 32, "128-256-512": 32},
            "bytes": {"small": 128, "large": 128, "paper": 128},
            "repeat": 5,
        },
        threads=1,
    ),
)

#: Table I's lambda and epsilon, with a falling lambda and an image in spikes: everything that the loop can
#: compute for a neuron. 64 steps.
STEPS = Dynamics(32, 16, 1, 0.6, 0.9, 0.1, image_spikes=True, prediction_decay=0.5)


def best(work: Callable[[], object], repeat: int) -> float:
    """Return the time in seconds of the fastest of `repeat` runs, after a warm-up run."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def figures(products: float, seconds: float, plain: float) -> dict[str, float]:
    """Return ms per sample, rates in GMAC/s, and their share.

    products: multiplications per sample. seconds: time per sample. plain: time of the plain product in
    seconds.
    """
    rate, of_plain = products / seconds / 1e9, SIDE**3 / plain / 1e9
    return {"ms": 1e3 * seconds, "gmac_s": rate, "plain_gmac_s": of_plain, "share": rate / of_plain}


def float_products(network: Network, steps: int) -> float:
    """Return the products per sample, both directions; link 1 has no drive back to the image."""
    positions = [link.post[1] * link.post[2] for link in network.links]
    sizes = [p * w.numel() for p, w in zip(positions, network.initial(1).weights, strict=True)]
    return steps * (2.0 * sum(sizes) - sizes[0])


def byte_products(spec: Spec) -> float:
    """Return the same without those of the image, which are computed once per sample."""
    sizes = [
        (spec.layers[b.index].positions if b.kind == "conv" else 1) * math.prod(b.weight_shape)
        for b in spec.bundles[1:]
    ]
    return 2.0 * sum(sizes) * (spec.schedule.free + 2 * spec.schedule.nudged)


def measure_floats(widths: str, batch: int, repeat: int) -> dict[str, float]:
    """Measure `compiled.averages`, three phases of a 2C2FC."""
    network = two_conv_two_dense(*map(int, widths.split("-")))
    weights, random = network.initial(1), torch.Generator().manual_seed(1)
    pixels = torch.rand(batch, 1, 28, 28, generator=random, device="cpu")
    labels = torch.randint(CLASSES, (batch,), generator=random, device="cpu")
    square: Tensor = torch.rand(SIDE, SIDE, generator=random, device="cpu")
    seconds = (
        best(lambda: compiled.averages(network, STEPS, weights, pixels, labels, threads=1), repeat) / batch
    )
    products = float_products(network, STEPS.free + 2 * STEPS.nudged)
    return figures(products, seconds, best(lambda: square @ square, repeat))


def measure_bytes(name: str, batch: int, repeat: int) -> dict[str, float]:
    """Measure `native.run`: phases, updates, and working copies of the weights."""
    spec = PRESETS[name]
    parameters, digits = initial(spec, 1), images("embedded", None)
    pixels, labels = digits.train_images[:batch], digits.train_labels[:batch]
    one = torch.randint(
        -128, 128, (SIDE, SIDE), generator=torch.Generator().manual_seed(1), dtype=torch.int8, device="cpu"
    )
    seconds = best(lambda: native.run(spec, Settings.of(spec), parameters, pixels, labels, 1), repeat) / batch
    return figures(byte_products(spec), seconds, best(lambda: torch._int_mm(one, one), repeat))


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each engine and network; a seed is a repetition."""
    repeat = budget.values["repeat"]
    for engine, kind, measure in (("float32", "floats", measure_floats), ("int8", "bytes", measure_bytes)):
        for network, batch in budget.values[kind].items():
            labels = {"engine": engine, "network": network}
            yield Cell(labels, seed, [batch, repeat], partial(measure, network, batch, repeat))


def intro(budget: Budget) -> str:
    """Return the text above the table."""
    return (
        f"Budget {budget.name}: one thread. float32: the paper's systems, phases of {STEPS.free} + 2 x "
        f"{STEPS.nudged} steps. int8: training in the gateware's arithmetic, with the preset's sweeps, "
        "updates included."
    )


PLAIN = f"plain product of {SIDE} x {SIDE}, GMAC/s"
COLUMNS = [
    page.Column("ms a sample", "ms"),
    page.Column("GMAC/s", "gmac_s", 0),
    page.Column(PLAIN, "plain_gmac_s", 0),
    page.Column("share", "share"),
]

PICTURE = page.dots({"10⁹ products a second, one thread": {"the engine": "gmac_s", PLAIN: "plain_gmac_s"}})

STUDY = Study("speed", BUDGETS, seed_cells, page.report(intro, COLUMNS, PICTURE))
