"""Stages, as a network file lists them, and the layers and bundles that follow from them."""

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

from nudge.plumbing.errors import SpecError

from .formats import signed_bits


def check_whole(what: str, value: object, low: int, high: int | None = None) -> None:
    """Raise `SpecError` unless the value is an int (neither True nor 2.0) within low..high."""
    if type(value) is not int or value < low or (high is not None and value > high):
        allowed = f"of at least {low}" if high is None else f"{low}..{high}"
        raise SpecError(f"{what} must be a whole number {allowed}, not {reprlib.repr(value)}")


#: Allowed sides of an image in pixels, numbers of classes, and numbers of channels: grey or colour.
SIDES, CLASS_COUNTS, CHANNEL_COUNTS = range(8, 65), range(2, 65), (1, 3)


@dataclass(frozen=True)
class Input:
    """Images as bytes in torch's order (channel, row, column), and the number of their classes.

    The defaults are MNIST's.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    #: Number of classes, and of units in the last stage.
    classes: int = 10

    def __post_init__(self) -> None:
        if type(self.channels) is not int or self.channels not in CHANNEL_COUNTS:
            allowed = " or ".join(map(str, CHANNEL_COUNTS))
            raise SpecError(f"input.channels must be {allowed}, not {reprlib.repr(self.channels)}")
        for name, known in (("height", SIDES), ("width", SIDES), ("classes", CLASS_COUNTS)):
            check_whole(f"input.{name}", getattr(self, name), known[0], known[-1])

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    @property
    def pixels(self) -> int:
        """Bytes of an image, all channels."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Conv:
    """Convolution, stride 1, then 2x2 average pooling; an odd last row or column is dropped.

    The kernel may have an even side. It may exceed no side of the map, frame included, less one: one position
    must be left to pool.
    """

    channels: int
    kernel: int = 3
    #: Width of the frame of zeros around the map below, less than half of the kernel.
    padding: int = 0

    def __post_init__(self) -> None:
        check_whole("channels of a Conv", self.channels, 1)
        check_whole("kernel of a Conv", self.kernel, 1)
        check_whole("padding of a Conv", self.padding, 0, (self.kernel - 1) // 2)


@dataclass(frozen=True)
class Dense:
    """Fully connected layer."""

    units: int

    def __post_init__(self) -> None:
        check_whole("units of a Dense", self.units, 1)


def shapes_of(shown: Input, stages: Sequence[Conv | Dense]) -> list[tuple[int, int, int]]:
    """Return (channels, height, width) of the image and of the layers that the stages make of it.

    Raises `SpecError` unless each stage fits the layer below it, and the last one the classes.
    """
    for n, stage in enumerate(stages, start=1):
        if not isinstance(stage, Conv | Dense):
            raise SpecError(f"stage {n} must be Conv or Dense, not {reprlib.repr(stage)}")
    if not stages or not isinstance(stages[-1], Dense):
        raise SpecError("the last stage must be Dense")
    if stages[-1].units != shown.classes:
        raise SpecError(
            f"the last stage must have {shown.classes} units, one for each class, not {stages[-1].units}"
        )
    kinds = [isinstance(stage, Dense) for stage in stages]
    if kinds != sorted(kinds):
        raise SpecError("Conv stages must come before Dense stages")
    shapes = [shown.shape]
    for n, stage in enumerate(stages, start=1):
        _, height, width = shapes[-1]
        if isinstance(stage, Dense):
            shapes.append((stage.units, 1, 1))
            continue
        frame = 2 * stage.padding
        largest = min(height, width) + frame - 1
        if stage.kernel > largest:
            below = f"layer {n - 1} is {height}x{width}" + (
                f" in a frame of {stage.padding}" if frame else ""
            )
            if not largest:
                raise SpecError(
                    f"stage {n} can't be a Conv with kernel {stage.kernel}: {below}, nothing is left to pool"
                )
            raise SpecError(
                f"stage {n}: kernel must be 1..{largest} ({below}, and 2x2 are pooled), not {stage.kernel}"
            )
        height, width = ((side + frame - stage.kernel + 1) // 2 for side in (height, width))
        shapes.append((stage.channels, height, width))
    return shapes


@dataclass(frozen=True)
class Layer:
    """A layer's map; dense: height = width = 1. Flat index of neuron (c, y, x): (c*height + y)*width + x."""

    #: 0 is the image.
    index: int
    channels: int
    height: int
    width: int
    #: Largest |phi|, in LSBs of 2^-`phi_fraction`.
    phi_bound: int = 0

    @property
    def positions(self) -> int:
        return self.height * self.width

    @property
    def neurons(self) -> int:
        return self.channels * self.positions

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    @property
    def phi_bits(self) -> int:
        """Width of phi: |phi| <= `phi_bound`, with every weight at its extreme and every input spiking."""
        return signed_bits(-self.phi_bound, self.phi_bound)


@dataclass(frozen=True)
class Bundle:
    """The weights between two neighbouring layers, used in both directions."""

    #: 1..N; bundle n joins layers n-1 and n.
    index: int
    #: "conv" or "dense" between layers of neurons. On the image, forward only and once per sample: "image" (a
    #: convolution) or "pixels" (fully connected).
    kind: str
    #: Side of the convolution's kernel; 1 for a fully connected bundle.
    kernel: int
    #: The layer on the image's side.
    pre: Layer
    #: The layer on the output's side.
    post: Layer
    #: Width of the frame of zeros around a convolution's pre layer.
    padding: int = 0

    @property
    def full(self) -> bool:
        """Whether the bundle is fully connected; otherwise it is a convolution with pooling."""
        return self.kind in ("dense", "pixels")

    @property
    def on_image(self) -> bool:
        """Whether its pre layer is the image."""
        return self.kind in ("image", "pixels")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Torch's shape: (post, pre, k, k), or (post neurons, pre neurons) if fully connected."""
        if self.full:
            return (self.post.neurons, self.pre.neurons)
        return (self.post.channels, self.pre.channels, self.kernel, self.kernel)

    @property
    def weights(self) -> int:
        size = 1
        for n in self.weight_shape:
            size *= n
        return size

    @property
    def fan_in(self) -> int:
        return self.weights // self.weight_shape[0]

    @property
    def map_height(self) -> int:
        """Rows of the convolution's output, before pooling; pooling drops an odd last row."""
        return self.framed_height - self.kernel + 1

    @property
    def map_width(self) -> int:
        return self.framed_width - self.kernel + 1

    @property
    def framed_height(self) -> int:
        """Rows of the pre layer with its frame of zeros."""
        return self.pre.height + 2 * self.padding

    @property
    def framed_width(self) -> int:
        return self.pre.width + 2 * self.padding

    @property
    def framed_positions(self) -> int:
        return self.framed_height * self.framed_width


def taps_of(bundle: Bundle, folded: bool = False) -> tuple[list[int], list[int]]:
    """Return for each row and each column of a convolution's pre layer the kernel's rows, or columns, that
    connect it with a pooled position: their products are a pre neuron's connections with each post channel.

    folded: count the pooled positions instead, each of which a folded kernel reaches once.
    """
    sides = ((bundle.pre.height, bundle.post.height), (bundle.pre.width, bundle.post.width))
    rows, columns = (
        [
            len(
                {
                    row // (1 + folded)
                    for tap in range(bundle.kernel)
                    if 0 <= (row := at + bundle.padding - tap) < 2 * pooled
                }
            )
            for at in range(size)
        ]
        for size, pooled in sides
    )
    return rows, columns
