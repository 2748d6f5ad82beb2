"""Stages, as a network is written down, and the layers and bundles that it then has."""

import reprlib
from dataclasses import dataclass

from plumbing.errors import SpecError

from .formats import signed_bits


def check_whole(what: str, value: object, low: int, high: int | None = None) -> None:
    """Raise `SpecError` where a value is no integer (True and 2.0 are none) or outside low..high."""
    if type(value) is not int or value < low or (high is not None and value > high):
        allowed = f"of at least {low}" if high is None else f"{low}..{high}"
        raise SpecError(f"{what} must be a whole number {allowed}, not {reprlib.repr(value)}")


#: Sides of an image, and classes, that there may be; channels: grey or colour.
SIDES, CLASS_COUNTS, CHANNEL_COUNTS = range(8, 65), range(2, 65), (1, 3)


@dataclass(frozen=True)
class Input:
    """What a network is shown: images, as bytes in torch's order (channel, row, column), of one of some classes.

    The defaults are MNIST's.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    #: Classes, which are the units of the last stage.
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
        """Bytes of an image: of all channels."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Conv:
    """Convolution without padding, stride 1, then 2x2 average pooling, which drops an odd last row and column.

    The kernel may be even, and as large as the map below less one, so that at least one position is left to pool.
    """

    channels: int
    kernel: int = 3

    def __post_init__(self) -> None:
        check_whole("channels of a Conv", self.channels, 1)
        check_whole("kernel of a Conv", self.kernel, 1)


@dataclass(frozen=True)
class Dense:
    """Fully connected layer."""

    units: int

    def __post_init__(self) -> None:
        check_whole("units of a Dense", self.units, 1)


@dataclass(frozen=True)
class Layer:
    """One layer's map. A dense layer has height = width = 1. Neuron (c, y, x) has flat index (c*height + y)*width + x."""

    #: From 0, the image.
    index: int
    channels: int
    height: int
    width: int
    #: Largest |phi|, in LSBs.
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
        """Width of phi: |phi| <= `phi_bound`, every weight at its extreme and every input spiking."""
        return signed_bits(-self.phi_bound, self.phi_bound)


@dataclass(frozen=True)
class Bundle:
    """The weights between two neighbouring layers, used in both directions."""

    #: From 1; bundle n joins layers n-1 and n.
    index: int
    #: "conv" or "dense" between layers of neurons; on the image, forward only, once per sample: "image" (a convolution) or
    #: "pixels" (fully connected).
    kind: str
    #: Side of the convolution's kernel; 1 of a fully connected bundle.
    kernel: int
    #: The layer on the image's side.
    pre: Layer
    #: The layer on the output's side.
    post: Layer

    @property
    def full(self) -> bool:
        """Whether it is fully connected; else it is a convolution with pooling."""
        return self.kind in ("dense", "pixels")

    @property
    def on_image(self) -> bool:
        """Whether its pre layer is the image."""
        return self.kind in ("image", "pixels")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Torch's: (post, pre, k, k) or (post neurons, pre neurons)."""
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
        return self.pre.height - self.kernel + 1

    @property
    def map_width(self) -> int:
        return self.pre.width - self.kernel + 1
