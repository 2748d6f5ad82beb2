"""Cycles of the simulated board by phase, beside what the engines' lanes allow, and how busy each engine's lanes are."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from golden.contract import layout
from golden.contract.config import SLOTS, Config
from golden.contract.event_units import adder_sizes
from golden.contract.protocol import PHASES
from golden.contract.shapes import Bundle, Layer
from golden.model.batch import trace
from golden.model.parameters import Parameters, initial
from golden.model.settings import Settings
from golden.training.data import Data
from host.boards.serial import SerialBoard
from plumbing.progress import Meter

#: Kernels of an event-driven engine's directions that the spikes of a training sample need, by bundle: forward, backward.
Events = dict[int, tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """An engine or a neuron array: what it has side by side, and the cycles of a training sample that it needs at 100 %."""

    name: str
    lanes: int
    cycles: float


def step_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of one step of a bundle's line-buffered or dense synapse engine that never waits; 0 for the image.

    dense: one working word a cycle, both directions in that pass. conv: each pair of channel groups streams the
    zero-padded map of the backward convolution, (H + k - 1) x (W + k - 1) positions of the pre layer; the forward one,
    H x W, runs beside it.
    """
    if bundle.on_image:
        return 0
    if bundle.kind == "dense":
        return layout.tiles(config, bundle)
    raster = (bundle.pre.height + bundle.kernel - 1) * (bundle.pre.width + bundle.kernel - 1)
    return config.groups(bundle.pre) * config.groups(bundle.post) * raster


def static_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of the image's drive: one pixel a cycle, once for each group of output channels.

    In a convolution a pooled position takes ceil(k*k / image_taps) cycles; the pixels wait for those beyond two.
    """
    if not bundle.on_image:
        return 0
    groups = config.groups(bundle.post)
    if bundle.full:
        return groups * bundle.pre.neurons
    rounds = -(-(bundle.kernel**2) // config.image_taps)
    pooled = bundle.post.positions
    return groups * bundle.pre.channels * (bundle.pre.positions + max(rounds - 2, 0) * pooled)


def update_bound(config: Config, bundle: Bundle) -> int:
    """Cycles of a bundle's update: a master word (all post lanes) and a pooled position in each, or in each second one."""
    positions = 1 if bundle.full else bundle.post.positions
    return config.item_cycles(bundle) * layout.weight_words(config, bundle) * positions


def windows(bundle: Bundle) -> np.ndarray:
    """How many of an event-driven engine's windows, of 4x4 pre positions at stride two, each pre position is in."""
    count = np.zeros((bundle.pre.height, bundle.pre.width), np.int64)
    for y in range(bundle.post.height):
        for x in range(bundle.post.width):
            count[2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += 1
    return count


def events(config: Config, settings: Settings, parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> Events:
    """Kernels to be added in a training sample, the mean over these samples, counted in the golden model."""
    bundles = [bundle for bundle in config.spec.bundles if bundle.index in config.events]
    seen = {bundle.index: torch.from_numpy(windows(bundle)) for bundle in bundles}
    total = {bundle.index: [0, 0] for bundle in bundles}
    for image, label in zip(images, labels, strict=True) if bundles else ():
        for step in trace(config.spec, settings, parameters, image, int(label)):
            for bundle in bundles:
                pre, post = step.layers[bundle.pre.index - 1].s, step.layers[bundle.index - 1].s
                total[bundle.index][0] += int((pre * seen[bundle.index]).sum())
                total[bundle.index][1] += 4 * int(post.sum())
    return {index: (forward / len(images), backward / len(images)) for index, (forward, backward) in total.items()}


def silent_tiles(
    config: Config, settings: Settings, parameters: Parameters, images: np.ndarray, labels: np.ndarray
) -> dict[int, float]:
    """Share of each dense bundle's tiles that have no spike on either side, over all steps of training these samples.

    `hw.synapse.dense_engine` takes each tile in a cycle, so this is what skipping them would save.
    Counted in the golden model.
    """
    dense = [bundle for bundle in config.spec.bundles if bundle.kind == "dense"]
    total = dict.fromkeys((bundle.index for bundle in dense), 0.0)
    count = 0
    for image, label in zip(images, labels, strict=True):
        for step in trace(config.spec, settings, parameters, image, int(label)):
            count += 1
            for bundle in dense:
                quiet = 1.0
                for layer in (bundle.pre, bundle.post):
                    words = step.layers[layer.index - 1].s.reshape(config.groups(layer), config.lanes[layer.index], -1)
                    quiet *= 1 - words.any(1).double().mean().item()
                total[bundle.index] += quiet
    return {index: quiet / count for index, quiet in total.items()}


def parts(config: Config, settings: Settings, counted: Events) -> list[Part]:
    """All engines and arrays of a training sample. The steps' come first, then ``static`` and ``update``."""
    spec, steps = config.spec, settings.free_steps + 2 * settings.nudged_steps
    out = []

    def array(layer: Layer) -> None:
        turns = config.turns(layer)
        lanes, cycles = config.lanes[layer.index] // turns, steps * config.words(layer) * turns
        out.append(Part(f"neurons {layer.index}", lanes, cycles))

    for bundle in spec.bundles[1:]:
        array(bundle.pre)
        pre, post = config.lanes[bundle.pre.index], config.lanes[bundle.index]
        if bundle.index in config.events:
            adders = zip(adder_sizes(bundle).items(), counted[bundle.index], config.passes, strict=True)
            for (name, (units, lanes)), kernels, passes in adders:
                out.append(Part(f"synapses {bundle.index} {name}", units * lanes // passes, kernels * passes / units))
        else:
            # weights that are read side by side; each serves both directions
            lanes = pre * post * (1 if bundle.kind == "dense" else bundle.kernel**2)
            out.append(Part(f"synapses {bundle.index}", lanes, steps * step_bound(config, bundle)))
    array(spec.layers[-1])
    for bundle in spec.bundles:
        if bundle.kind == "pixels":
            out.append(Part("static", config.lanes[1], static_bound(config, bundle)))
        if bundle.kind == "image":
            lanes = config.lanes[1] * min(config.image_taps, bundle.kernel**2)
            out.append(Part("static", lanes, static_bound(config, bundle)))
        out.append(Part(f"update {bundle.index}", config.lanes[bundle.index], update_bound(config, bundle)))
    return out


def bound(config: Config, settings: Settings, counted: Events, batch: int) -> dict[str, float]:
    """Fewest cycles of each phase of a training sample with every lane of the slowest engine busy in every cycle.

    All bundles and layers work side by side for two samples, each half a sweep, so a sweep costs its slowest part. The first
    static drive of a batch and the last two updates have nothing that hides them; the compact core hides none. They and the
    commit are divided by ``batch``. No pipeline fill, no start-up: real counts are higher.
    """
    spec, steps = config.spec, settings.free_steps + 2 * settings.nudged_steps
    every = parts(config, settings, counted)
    step = max(part.cycles for part in every if part.name.startswith(("neurons", "synapses"))) / steps
    static = max(part.cycles for part in every if part.name == "static")
    update = max(part.cycles for part in every if part.name.startswith("update"))
    return {
        "static": static if config.compact else static / batch,
        "free": settings.free_steps * step,
        "plus": settings.nudged_steps * step,
        "minus": settings.nudged_steps * step,
        "update": update if config.compact else min(batch, SLOTS) * update / batch,
        "commit": max(layout.master_words(config, b) for b in spec.bundles) / batch,
    }


@dataclass(frozen=True)
class Bench:
    """Cycles of a simulated board, by its own counters.

    phases, bound: cycles of each phase, divided by the training samples; of two that step at once the older one's phase counts,
    so a sum is what a sample takes. They come in batches of `batch`, which share the commit and what goes on alone at both
    ends. inference: the same for inferences. parts: see `Part`. silent: see `silent_tiles`.
    seconds: of wall clock for `samples` training samples, link included.
    All of it is simulated: nothing here was measured on a board.
    """

    samples: int
    batch: int
    phases: dict[str, float]
    inference: dict[str, float]
    bound: dict[str, float]
    parts: list[Part]
    silent: dict[int, float]
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

    def occupancy(self, part: Part) -> float:
        """Share of a training sample's cycles, but those of the commit, in which a part's lanes are all in use."""
        return part.cycles / (self.cycles_per_training_sample - self.phases["commit"])


def bench(
    board: SerialBoard, config: Config, data: Data, samples: int, seed: int, parameters: Parameters | None = None
) -> Bench:
    """Train and infer the first `samples` training images on a board and read its cycle counters before and after.

    config: the board's, of which itself only says the lanes. parameters: initial weights, else fresh ones of this seed. Whole
    batches of the network's size tell what training takes; a shorter one has the ends of a batch for few samples.
    """
    spec = board.spec
    full = spec.learning.batch
    settings = Settings.of(spec)
    parameters = initial(spec, seed) if parameters is None else parameters
    board.load(parameters)
    board.write_settings(settings)
    images, labels = data.train_images[:samples].numpy(), data.train_labels[:samples].numpy()

    def cycles(old: dict[str, int], new: dict[str, int]) -> dict[str, int]:
        return {phase: (new[f"cycles_{phase}"] - old[f"cycles_{phase}"]) % 2**32 for phase in PHASES}

    with Meter("benchmark", 2 * samples) as meter:
        before, start = board.registers(), time.monotonic()
        for at in range(0, samples, full):
            board.train(images[at : at + full], labels[at : at + full])
            board.commit()
            meter.advance(len(images[at : at + full]))
        seconds, trained = time.monotonic() - start, board.registers()
        for at in range(0, samples, full):
            board.infer(images[at : at + full], labels[at : at + full])
            meter.advance(len(images[at : at + full]))
        inferred = board.registers()

    phases = {phase: count / samples for phase, count in cycles(before, trained).items()}
    counted = events(config, settings, parameters, images, labels)
    return Bench(
        samples=samples,
        batch=min(full, samples),
        phases=phases,
        inference={phase: count / samples for phase, count in cycles(trained, inferred).items()},
        bound=bound(config, settings, counted, min(full, samples)),
        parts=parts(config, settings, counted),
        silent=silent_tiles(config, settings, parameters, images, labels),
        seconds=seconds,
    )
