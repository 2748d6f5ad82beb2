"""Cycles of the simulated board by phase, beside what the engines' lanes allow."""

import time
from dataclasses import dataclass

from golden.data import Data
from golden.fixed import Settings, initial
from golden.progress import Meter
from golden.spec import Bundle
from hw import layout
from hw.config import Config
from hw.protocol import PHASES

from .board import SerialBoard


def step_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of one step of a bundle's synapse engine that never waits; 0 for the image, which runs once per sample.

    dense: one working word a cycle, both directions in that pass. conv: each pair of channel groups streams the
    zero-padded map of the backward convolution, (H + k - 1) x (W + k - 1) positions of the pre layer; the forward one,
    H x W, runs beside it.
    """
    if bundle.kind == "image":
        return 0
    if bundle.kind == "dense":
        return layout.tiles(config, bundle)
    raster = (bundle.pre.height + bundle.kernel - 1) * (bundle.pre.width + bundle.kernel - 1)
    return config.groups(bundle.pre) * config.groups(bundle.post) * raster


def static_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of the image's drive: one pixel a cycle, once for each group of output channels."""
    return config.groups(bundle.post) * bundle.pre.positions if bundle.kind == "image" else 0


def update_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of a bundle's update: one master word (all lanes of the post layer) and one pooled position a cycle."""
    return layout.weight_words(config, bundle) * (1 if bundle.kind == "dense" else bundle.post.positions)


def bound(config: Config, free: int, nudged: int, batch: int) -> dict[str, float]:
    """Fewest cycles of each phase of a training sample with every lane of the slowest engine busy in every cycle.

    All bundles and layers work side by side, so a phase costs its slowest one. A layer's neuron array takes one
    memory word a cycle. An update goes on during the next sample, until the window of that one's free phase: `update` is
    the rest, 0 for a batch's last one, since the commit may come late. `commit` is one batch's, divided by `batch`. No
    pipeline fill, no start-up: real counts are higher.
    """
    spec = config.spec
    step = max([step_bound(config, b) for b in spec.bundles] + [config.words(layer) for layer in spec.layers[1:]])
    static = max(static_bound(config, b) for b in spec.bundles)
    rest = max(update_bound(config, b) for b in spec.bundles) - static - step * (free - spec.schedule.window)
    return {
        "static": static,
        "free": free * step,
        "plus": nudged * step,
        "minus": nudged * step,
        "update": max(rest, 0) * (batch - 1) / batch,
        "commit": max(layout.master_words(config, b) for b in spec.bundles) / batch,
    }


@dataclass(frozen=True)
class Bench:
    """Cycles of a simulated board, by its own counters.

    phases, bound: cycles of each phase of a training sample, a commit being shared by the `batch` samples between two.
    inference: the same for an inference. seconds: of wall clock for `samples` training samples, link included.
    All of it is simulated: nothing here was measured on a board.
    """

    samples: int
    batch: int
    phases: dict[str, float]
    inference: dict[str, float]
    bound: dict[str, float]
    seconds: float

    @property
    def cycles_per_training_sample(self) -> float:
        return sum(self.phases.values())

    @property
    def cycles_per_inference(self) -> float:
        return sum(self.inference.values())

    @property
    def bound_cycles_per_training_sample(self) -> float:
        return sum(self.bound.values())

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds


def bench(board: SerialBoard, data: Data, samples: int, seed: int) -> Bench:
    """Train and infer the first `samples` training images on a board and read its cycle counters before and after."""
    spec = board.spec
    batch = min(spec.learning.batch, samples)
    settings = Settings.of(spec)
    board.load(initial(spec, seed))
    board.write_settings(settings)
    images, labels = data.train_images[:samples].numpy(), data.train_labels[:samples].numpy()
    with Meter("benchmark", 2 * samples) as meter:
        before, start = board.registers(), time.monotonic()
        for at in range(0, samples, batch):
            board.train(images[at : at + batch], labels[at : at + batch])
            board.commit()
            meter.advance(len(images[at : at + batch]))
        seconds, trained = time.monotonic() - start, board.registers()
        for at in range(0, samples, batch):
            board.infer(images[at : at + batch], labels[at : at + batch])
            meter.advance(len(images[at : at + batch]))
        inferred = board.registers()

    def cycles(old: dict[str, int], new: dict[str, int]) -> dict[str, float]:
        return {phase: (new[f"cycles_{phase}"] - old[f"cycles_{phase}"]) % 2**32 / samples for phase in PHASES}

    return Bench(
        samples=samples,
        batch=batch,
        phases=cycles(before, trained),
        inference=cycles(trained, inferred),
        bound=bound(board.config, settings.free_steps, settings.nudged_steps, batch),
        seconds=seconds,
    )
