"""Random networks, parameters and images for the tests of the golden model."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.network_file import FORMATS
from nudge.golden.contract.schedule import MAX_FEEDBACK_SHIFT, MAX_FINE, ORDERS, Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings

from .scalar_model import ScalarModel

#: The smallest network with every kind of neighbour: two conv bundles with odd maps, a hidden dense layer.
MINUSCULE = Spec(
    "mini",
    (Conv(2), Conv(2), Dense(3), Dense(10)),
    Schedule(free=5, nudged=4, window_log2=1),
    Learning(rates=(0.5, 0.3, 0.2, 0.16), beta=0.5, batch=4),
)


#: Largest kernel of random networks.
MAX_KERNEL = 7


def any_spec(
    choose: Callable[[int, int], int], side: int, orders: tuple[str, ...] = ORDERS, padded: bool = False
) -> Spec:
    """Return a random network for images up to side x side, with 0 to 3 convolutions, small enough for loops.

    choose(low, high): draws an integer in low..high, from a random generator or hypothesis. padded:
    convolutions may have padding.
    """
    colours, height, width = (1, 3)[choose(0, 1)], choose(8, side), choose(8, side)
    classes = choose(2, 12) if choose(0, 9) else 64
    convs: list[Conv] = []
    smaller = min(height, width)
    for _ in range(choose(0, 3)):
        if smaller < 2:
            break
        channels, kernel = choose(1, 3), choose(1, min(MAX_KERNEL, smaller - 1))
        convs.append(Conv(channels, kernel, choose(0, (kernel - 1) // 2) if padded else 0))
        smaller = (smaller + 2 * convs[-1].padding - kernel + 1) // 2
    hidden = [Dense(choose(1, 9)) for _ in range(choose(0, 2))]
    stages: tuple[Conv | Dense, ...] = (*convs, *hidden, Dense(classes))
    window = choose(0, 2)
    free, nudged = ((1 << window) + choose(0, 3) for _ in range(2))
    halvings = tuple(sorted({choose(1, free + 1) for _ in range(choose(0, 3))}))
    schedule = Schedule(free, nudged, window, choose(0, 3), orders[choose(0, len(orders) - 1)], halvings)
    learning = Learning((0.1,) * len(stages), batch=choose(1, 8))
    return Spec("random", stages, schedule, learning, input=Input(colours, height, width, classes))


def any_formats(choose: Callable[[int, int], int]) -> Formats:
    """Return random formats, or half of the time the default ones, which presets have."""
    return Formats.of(*(choose(low, high) for low, high in FORMATS.values())) if choose(0, 1) else Formats()


def with_fine_spikes(choose: Callable[[int, int], int], spec: Spec) -> Spec:
    """Return the network with random weak feedback, fine spikes or none, centred updates or not, a linear
    output if its binary point is odd, and updates of a vector field if that of layer 1 is odd.
    """
    room = spec.formats.drive_shift
    points = [choose(0, 3)]
    for _ in spec.stages[1:]:
        points.insert(0, min(points[0] + choose(0, room), MAX_FINE))
    fine = tuple(points) if choose(0, 2) else ()
    feedback = choose(0, min(room, MAX_FEEDBACK_SHIFT))
    schedule = replace(spec.schedule, feedback_shift=feedback, fine=fine, centred=bool(choose(0, 1)))
    # not drawn, so that each seed keeps its network
    odd = [bool(fine) and fine[n] % 2 == 1 for n in (-1, 0)]
    return replace(spec, schedule=replace(schedule, linear_output=odd[0], vector_field=odd[1]))


class Case(NamedTuple):
    """A network, the settings and parameters written to its board, and its samples."""

    spec: Spec
    settings: Settings
    parameters: Parameters
    images: torch.Tensor
    labels: torch.Tensor
    #: The samples of each commit.
    batches: tuple[slice, ...]

    def scalar(self) -> tuple[ScalarModel, list[int]]:
        """Train the scalar model with these commits; return it and its predictions."""
        model, predictions = (
            ScalarModel(self.spec, *([x.numpy() for x in group] for group in self.parameters)),
            [],
        )
        for batch in self.batches:
            samples = zip(self.images[batch], self.labels[batch], strict=True)
            predictions += [model.train(x.numpy(), int(y), **vars(self.settings)) for x, y in samples]
            model.commit()
        return model, predictions


#: Samples of a batch that is large enough for sums to get near their bounds.
DEEP = 48


def deep_spec(choose: Callable[[int, int], int]) -> Spec:
    """Return a random dense network, so small that `DEEP` samples are soon trained."""
    stages = (*(Dense(choose(1, 3)) for _ in range(choose(0, 1))), Dense(2))
    window = choose(0, 1)
    free, nudged = ((1 << window) + choose(0, 1) for _ in range(2))
    schedule = Schedule(free, nudged, window, choose(0, 3), "odd-even")
    learning = Learning((0.1,) * len(stages))
    return with_fine_spikes(
        choose, Spec("deep", stages, schedule, learning, any_formats(choose), input=Input(1, 8, 8, 2))
    )


def random_case(random: np.random.Generator, spec: Spec, samples: int = 2) -> Case:
    """Return a case with random parameters and settings and two commits, of `samples` samples and of one."""
    images, labels = random_images(samples + 1, random, spec.input)
    parameters = random_parameters(spec, random, random.choice((0.1, 0.4, 1.0)), 1 / 3)
    batches = slice(0, samples), slice(samples, samples + 1)
    return Case(spec, random_settings(spec, random), parameters, images, labels, batches)


def network_case(seed: int, padded: bool = False) -> Case:
    """Return the random case of a seed; without padding, one network in four is a `deep_spec`."""
    random = np.random.default_rng(seed)

    def choose(low: int, high: int) -> int:
        return int(random.integers(low, high, endpoint=True))

    if not padded and choose(0, 3) == 0:
        return random_case(random, deep_spec(choose), DEEP)
    spec = replace(any_spec(choose, 12, padded=padded), formats=any_formats(choose))
    return random_case(random, with_fine_spikes(choose, spec) if choose(0, 1) else spec)


def random_settings(spec: Spec, random: np.random.Generator) -> Settings:
    """Return random register values. Rates are small to extreme; a third of them are the largest possible."""
    f, n = spec.formats, len(spec.bundles)
    top = random.integers(1, 1 << f.rate_bits, 2 * n) >> random.integers(0, f.rate_bits, 2 * n)
    top[random.random(2 * n) < 1 / 3] = f.rate_range[-1]
    beta = int(random.integers(1, 1 << f.beta_bits)) if random.random() < 0.75 else f.beta_range[-1]
    return Settings(
        spec.schedule.free, spec.schedule.nudged, beta, tuple(map(int, top[:n])), tuple(map(int, top[n:]))
    )


def random_parameters(
    spec: Spec, random: np.random.Generator, reach: float = 1.0, ends: float = 0.0
) -> Parameters:
    """Return random weights, biases and running means.

    Masters are uniform over `reach` of their range, biases too: far beyond learnt ones. Means are uniform
    over their whole range. ends: share of tensors in which all masters of a neuron are at one end of the
    range, and of means at their maximum; in 0.3 * ends of the tensors masters are shifted right by 7, so
    that they are next to 0.
    """
    f = spec.formats
    low, high = round(reach * f.master_low), round(reach * f.master_high)

    def tensor(shape: tuple[int, ...]) -> torch.Tensor:
        values, kind = random.integers(low, high, shape, np.int64, endpoint=True), random.random()
        if kind < ends:
            end = random.choice([f.master_low, f.master_high], shape[:1])
            values[:] = end.reshape(-1, *[1] * (len(shape) - 1))
        elif kind > 1 - 0.3 * ends:
            values >>= 7
        return torch.from_numpy(values)

    def means(channels: int) -> torch.Tensor:
        top = spec.mean_range[-1]
        values = random.integers(0, top, channels, np.int64, endpoint=True)
        values[random.random(channels) < ends] = top
        return torch.from_numpy(values)

    return Parameters(
        tuple(tensor(b.weight_shape) for b in spec.bundles),
        tuple(tensor((b.post.channels,)) for b in spec.bundles),
        tuple(means(b.pre.channels) for b in (spec.bundles if spec.schedule.centred else ())),
    )


def random_images(
    count: int,
    random: np.random.Generator,
    shown: Input = Input(),  # noqa: B008 (frozen)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and labels; images are noise of a random density, white, or black.

    In half of the draws all images are of one kind, in half all labels are equal. Grey images have the shape
    (count, height, width), without channels.
    """
    shape = shown.shape[1:] if shown.channels == 1 else shown.shape
    images, labels = (
        random.integers(0, 256, (count, *shape), np.uint8),
        random.integers(0, shown.classes, count),
    )
    images[random.random(images.shape) > random.random((count, *[1] * len(shape)))] = 0
    white = random.random(count if random.random() < 0.5 else 1) + np.zeros(count)
    images[white > 0.6], images[white < 0.05] = 255, 0
    if random.random() < 0.5:
        labels[:] = labels[:1]
    return torch.from_numpy(images), torch.from_numpy(labels)


def same_parameters(a: Parameters, b: Parameters) -> bool:
    """Return whether all weights, biases and means are equal."""
    pairs = zip([x for group in a for x in group], [y for group in b for y in group], strict=True)
    return all(torch.equal(x, y) for x, y in pairs)
