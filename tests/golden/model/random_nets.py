"""Random networks, parameters and images for the tests of the golden model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from golden.contract.schedule import FOLLOW, MAX_FEEDBACK_SHIFT, MAX_FINE, ORDERS, Schedule
from golden.contract.shapes import Conv, Dense, Input
from golden.contract.spec import Learning, Spec
from golden.model.parameters import Parameters
from golden.model.settings import Settings

#: Two conv bundles with odd maps, a hidden dense one: every kind of neighbour in the smallest size.
MINUSCULE = Spec(
    "mini",
    (Conv(2), Conv(2), Dense(3), Dense(10)),
    Schedule(free=5, nudged=4, window_log2=1),
    Learning(rates=(0.5, 0.3, 0.2, 0.16), beta=0.5, batch=4),
)


def random_spec(random: np.random.Generator) -> Spec:
    """A small net of one to three conv and one to three dense stages, any schedule."""
    # kernels up to 4 leave the third map at least one pooled position
    convs = [Conv(int(random.integers(1, 5)), int(random.integers(1, 5 - n))) for n in range(random.integers(1, 4))]
    hidden = [Dense(int(random.integers(1, 9))) for _ in range(random.integers(0, 3))]
    window = int(random.integers(0, 4))
    steps = random.integers(1 << window, 12, 2)
    order = ORDERS[random.integers(len(ORDERS))]
    halvings = tuple(sorted({int(t) for t in random.integers(1, 13, random.integers(0, 4))}))
    schedule = Schedule(int(steps[0]), int(steps[1]), window, int(random.integers(0, 4)), order, halvings)
    stages: tuple[Conv | Dense, ...] = (*convs, *hidden, Dense(10))
    return Spec("random", stages, schedule, Learning(rates=(0.1,) * len(stages)))


#: Largest kernel that random networks have.
MAX_KERNEL = 7


def any_spec(choose: Callable[[int, int], int], side: int, orders: tuple[str, ...] = ORDERS) -> Spec:
    """Any network of images of at most `side`, with no to three convolutions, small enough for scalar loops.

    choose(low, high): an integer from low to high, of a random generator or of hypothesis.
    """
    channels, height, width = (1, 3)[choose(0, 1)], choose(8, side), choose(8, side)
    classes = choose(2, 12) if choose(0, 9) else 64
    convs: list[Conv] = []
    smaller = min(height, width)
    for _ in range(choose(0, 3)):
        if smaller < 2:
            break
        convs.append(Conv(choose(1, 3), choose(1, min(MAX_KERNEL, smaller - 1))))
        smaller = (smaller - convs[-1].kernel + 1) // 2
    hidden = [Dense(choose(1, 9)) for _ in range(choose(0, 2))]
    stages: tuple[Conv | Dense, ...] = (*convs, *hidden, Dense(classes))
    window = choose(0, 2)
    free, nudged = ((1 << window) + choose(0, 3) for _ in range(2))
    halvings = tuple(sorted({choose(1, free + 1) for _ in range(choose(0, 3))}))
    schedule = Schedule(free, nudged, window, choose(0, 3), orders[choose(0, len(orders) - 1)], halvings)
    learning = Learning((0.1,) * len(stages), batch=choose(1, 8))
    return Spec("random", stages, schedule, learning, input=Input(channels, height, width, classes))


def with_fine_spikes(choose: Callable[[int, int], int], spec: Spec) -> Spec:
    """The same with any feedback, with any fine spikes or none, and with updates that are centred or not."""
    room = spec.formats.drive_shift
    points = [choose(0, 3)]
    for _ in spec.stages[1:]:
        points.insert(0, min(points[0] + choose(0, room), MAX_FINE))
    fine = tuple(points) if choose(0, 2) else ()
    feedback = choose(0, min(room, MAX_FEEDBACK_SHIFT))
    schedule = replace(spec.schedule, feedback_shift=feedback, fine=fine, centred=bool(choose(0, 1)))
    return replace(spec, schedule=schedule)


def random_settings(spec: Spec, random: np.random.Generator) -> Settings:
    """Any register values, rates small to extreme."""
    f, n = spec.formats, len(spec.bundles)
    top = random.integers(1, 1 << f.rate_bits, 2 * n) >> random.integers(0, f.rate_bits, 2 * n)
    beta = int(random.integers(1, 1 << f.beta_bits))
    return Settings(spec.schedule.free, spec.schedule.nudged, beta, tuple(map(int, top[:n])), tuple(map(int, top[n:])))


def random_parameters(spec: Spec, random: np.random.Generator, reach: float = 1.0) -> Parameters:
    """Masters uniform over `reach` of their whole range, biases too: far beyond what learning gives."""
    f = spec.formats
    low, high = round(reach * f.master_low), round(reach * f.master_high)

    def tensor(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(random.integers(low, high, shape, np.int64, endpoint=True))

    # of xi from 0 to 1.0, with the bits that a running mean has more
    top, read = 1 << f.bias_fraction + FOLLOW, spec.bundles if spec.schedule.centred else ()
    means = (random.integers(0, top, b.pre.channels, np.int64) for b in read)
    return Parameters(
        tuple(tensor(b.weight_shape) for b in spec.bundles),
        tuple(tensor((b.post.channels,)) for b in spec.bundles),
        tuple(torch.from_numpy(x) for x in means),
    )


def random_images(
    count: int, random: np.random.Generator, shown: Input = Input()  # noqa: B008 (frozen)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of a random density, so that blank and saturated images occur, and labels. Grey images have three dimensions."""
    shape = shown.shape[1:] if shown.channels == 1 else shown.shape
    images = random.integers(0, 256, (count, *shape), np.uint8)
    images[random.random(images.shape) > random.random((count, *[1] * len(shape)))] = 0
    return torch.from_numpy(images), torch.from_numpy(random.integers(0, shown.classes, count))


def same_parameters(a: Parameters, b: Parameters) -> bool:
    """All weights, biases and means equal."""
    pairs = zip([x for group in a for x in group], [y for group in b for y in group], strict=True)
    return all(torch.equal(x, y) for x, y in pairs)
