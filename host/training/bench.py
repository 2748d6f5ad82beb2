"""Cycles of the simulated board by phase, their lower bound from the lanes, each engine's occupancy."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import SPOTS, adder_sizes
from nudge.golden.contract.protocol import PHASES
from nudge.golden.contract.shapes import Bundle, Layer, taps_of
from nudge.golden.model.batch import trace
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data
from nudge.host.devices.serial import SerialBoard
from nudge.plumbing.progress import Meter

#: Mean number of kernels that event engines add, or of taps, plain or folded, that scatter engines do, in a
#: training sample, by bundle index: (forward, backward).
Events = dict[int, tuple[float, float]]


@dataclass(frozen=True)
class Part:
    """An engine or a neuron array: its lanes, and its cycles for a training sample if it never waits."""

    name: str
    lanes: int
    cycles: float


def step_bound(config: Config, bundle: Bundle) -> int:
    """Return the cycles of one step of a bundle's line or dense engine that never waits; 0 for the image.

    dense: the tiles of the bundle, one word of working copies a cycle, which serves both directions. conv:
    groups(pre) * groups(post) * (H + k - 1) * (W + k - 1), as each pair of channel groups streams the
    zero-padded map of the backward convolution over the pre layer's H x W; the forward convolution runs at
    the same time.
    """
    if bundle.on_image:
        return 0
    if bundle.kind == "dense":
        return layout.tiles(config, bundle)
    raster = (bundle.pre.height + bundle.kernel - 1) * (bundle.pre.width + bundle.kernel - 1)
    return config.groups(bundle.pre) * config.groups(bundle.post) * raster


def static_bound(config: Config, bundle: Bundle) -> int:
    """Return the cycles of the image's drive, one pixel a cycle, once for each channel group; else 0.

    dense: groups(post) * pre neurons. conv: groups(post) * pre channels * (H * W + max(rounds - 2, 0) *
    pooled positions), with H and W of the image in its frame of zeros, and rounds = ceil(k * k / image_taps)
    cycles for a pooled position, of which the pixels wait for those beyond two.
    """
    if not bundle.on_image:
        return 0
    groups = config.groups(bundle.post)
    if bundle.full:
        return groups * bundle.pre.neurons
    rounds = -(-(bundle.kernel**2) // config.image_taps)
    pooled = bundle.post.positions
    return groups * bundle.pre.channels * (bundle.framed_positions + max(rounds - 2, 0) * pooled)


def update_bound(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a bundle's update: item_cycles (1 or 2) * words of weights * pooled positions.

    A word holds the masters of all post lanes; a dense bundle has one position.
    """
    positions = 1 if bundle.full else bundle.post.positions
    return config.item_cycles(bundle) * layout.weight_words(config, bundle) * positions


def windows(bundle: Bundle) -> np.ndarray:
    """Count, for each pre position, the event engine's windows that contain it, (H, W): 4x4 at stride 2."""
    count = np.zeros((bundle.pre.height, bundle.pre.width), np.int64)
    for y in range(bundle.post.height):
        for x in range(bundle.post.width):
            count[2 * y : 2 * y + 4, 2 * x : 2 * x + 4] += 1
    return count


def events(
    config: Config, settings: Settings, parameters: Parameters, images: np.ndarray, labels: np.ndarray
) -> Events:
    """Count kernels (event engines) or taps (scatter) added in the golden model: means over these samples."""
    bundles = [bundle for bundle in config.spec.bundles if bundle.index in config.events | config.scatters]
    scattered = config.scatters
    taps = {b.index: taps_of(b, b.index in config.folded) for b in bundles}
    seen = {
        b.index: torch.from_numpy(np.outer(*taps[b.index]) if b.index in scattered else windows(b))
        for b in bundles
    }
    behind = {b.index: (b.kernel + 1) ** 2 if b.index in scattered else SPOTS for b in bundles}
    total = {bundle.index: [0, 0] for bundle in bundles}
    for image, label in zip(images, labels, strict=True) if bundles else ():
        for step in trace(config.spec, settings, parameters, image, int(label)):
            for bundle in bundles:
                pre, post = step.layers[bundle.pre.index - 1].s, step.layers[bundle.index - 1].s
                total[bundle.index][0] += int((pre.abs() * seen[bundle.index]).sum())
                total[bundle.index][1] += behind[bundle.index] * int(post.abs().sum())
    return {
        index: (forward / len(images), backward / len(images)) for index, (forward, backward) in total.items()
    }


def silent_tiles(
    config: Config, settings: Settings, parameters: Parameters, images: np.ndarray, labels: np.ndarray
) -> dict[int, float]:
    """Return the share, 0 to 1, of each dense bundle's tiles without a spike on either side, by bundle index.

    It is the mean over all steps of training these samples in the golden model. `hw.synapse.dense_engine`
    takes one cycle for each tile, so skipping silent ones would save this share of its cycles.
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
                    words = step.layers[layer.index - 1].s.reshape(
                        config.groups(layer), config.lanes[layer.index], -1
                    )
                    quiet *= 1 - words.any(1).double().mean().item()
                total[bundle.index] += quiet
    return {index: quiet / count for index, quiet in total.items()}


def parts(config: Config, settings: Settings, counted: Events) -> list[Part]:
    """Return all neuron arrays and synapse engines, then the engines of ``static`` and ``update``."""
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
                out.append(
                    Part(f"synapses {bundle.index} {name}", units * lanes // passes, kernels * passes / units)
                )
        elif bundle.index in config.scatters:
            targets = {"forward": bundle.post, "backward": bundle.pre}
            for (name, target), count in zip(targets.items(), counted[bundle.index], strict=True):
                lanes, cycles = config.lanes[target.index], count * config.groups(target)
                out.append(Part(f"synapses {bundle.index} {name}", lanes, cycles))
        else:
            # weights read in the same cycle; each serves both directions
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
    """Return a lower bound of each phase's cycles in a training sample.

    It assumes that the lanes of the slowest engine are busy in every cycle. All bundles and layers work in
    parallel, for two samples half a sweep apart, so a sweep takes as long as its slowest part. The static
    drive and the update overlap with the steps of other samples, except the first static drive and the last
    two updates of a batch; in the compact core none overlaps. These and the commit are divided by ``batch``.
    The bound has no pipeline fill and no start-up, so real counts are higher; with one slot they are about
    twice as high.
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
        "update": update if config.compact else min(batch, config.slots) * update / batch,
        "commit": max(layout.master_words(config, b) for b in spec.bundles) / batch,
    }


@dataclass(frozen=True)
class Bench:
    """Cycles of a simulated board, by its own counters; nothing here is measured on a board.

    phases, bound: cycles of each phase, divided by the number of training samples. While two samples step at
    once, the older one's phase counts, so the sum over phases is the mean time of a sample. The samples of a
    batch of `batch` share its commit, and the cycles without overlap at its beginning and end. inference: the
    same for inferences. parts: see `Part`. silent: see `silent_tiles`. seconds: wall-clock time of `samples`
    training samples, link included.
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
        """Return the share of a sample's training cycles, less the commit, in which a part's lanes work."""
        return part.cycles / (self.cycles_per_training_sample - self.phases["commit"])


def bench(
    board: SerialBoard,
    config: Config,
    data: Data,
    samples: int,
    seed: int,
    parameters: Parameters | None = None,
) -> Bench:
    """Train and infer the first `samples` training images on a board and read its cycle counters before and
    after.

    config: the board's; its HELLO answer has only the lanes. parameters: initial weights; None for new ones
    of this seed. Use whole batches of the network's size: in a shorter one, fewer samples share the cycles at
    its beginning and end.
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
