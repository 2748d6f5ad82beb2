"""Networks: their shapes, and the drives between neighbouring layers in both directions, eq. 9.

Layers are numbered from 0 (the image) to N; link n joins layers n-1 and n by one weight tensor. The second
term of eq. 9 is the transpose of the first. A convolution followed by 2x2 average pooling is computed as one
convolution of stride 2 with the (k+1) x (k+1) kernel of `fold`, in less than half the products; with
`fold=False` it is computed as the paper writes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional, grad

from nudge.golden.contract.shapes import Dense, Input

from . import pooling
from .pooling import ADJOINT, F


@dataclass(frozen=True)
class PaddedConv:
    """Convolution of stride 1, then 2x2 pooling. Unlike the board's `Conv`, it may pad its input."""

    channels: int
    kernel: int = 3
    #: Rows and columns of zeros on each side.
    padding: int = 0


Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Link:
    """The weights between two neighbouring layers."""

    #: "dense", or the pooling of a convolution: "average" or "maximum".
    kind: str
    pre: Shape
    post: Shape
    #: Side of a convolution's kernel.
    kernel: int = 1
    #: Rows and columns of zeros on each side of a convolution's input.
    padding: int = 0
    #: alpha of eq. 16.
    alpha: float = ADJOINT
    #: Whether average pooling and convolution are computed as one.
    fold: bool = True
    #: Factor on the backward drive.
    feedback: float = 1.0

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Torch's shape of the weights: (post, pre, k, k), or (post neurons, pre neurons) if dense."""
        if self.kind == "dense":
            return (self.post[0], self.pre[0] * self.pre[1] * self.pre[2])
        return (self.post[0], self.pre[0], self.kernel, self.kernel)

    @property
    def fan_in(self) -> int:
        return self.pre[0] * (self.pre[1] * self.pre[2] if self.kind == "dense" else self.kernel**2)

    @property
    def map(self) -> tuple[int, int]:
        """(h, w) of the convolution's output, before pooling."""
        return self.pre[1] + 2 * self.padding - self.kernel + 1, self.pre[
            2
        ] + 2 * self.padding - self.kernel + 1

    @property
    def folded(self) -> bool:
        return self.kind == "average" and self.fold


class Parameters(NamedTuple):
    """Weights in torch's shapes and biases (channels,) of all links, in floating point."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]


@dataclass(frozen=True)
class Network:
    """Stages from the image to the output, and the options that all links share."""

    stages: tuple[PaddedConv | Dense, ...]
    #: "average" or "maximum".
    pooling: str = "average"
    #: alpha of eq. 16.
    alpha: float = ADJOINT
    #: True: the last link isn't part of the dynamics but a readout, softmax(W xi + b), and the loss is its
    #: cross-entropy (Laborieux et al. 2021). False: layer N is the output, and the loss is half the squared
    #: distance to the one-hot label.
    softmax: bool = False
    #: `Link.fold` of each link.
    fold: bool = True
    #: `Link.feedback` of each link. The states at rest still minimise an energy, in which each layer counts
    #: `feedback` times as much as the layer below it (Xie and Seung 2003); near 0 they are those of a
    #: feed-forward network.
    feedback: float = 1.0
    #: (channels, height, width) of the image.
    image: Shape = Input().shape

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """All links, input to output, the readout included."""
        pre = self.image
        links = []
        for stage in self.stages:
            if isinstance(stage, Dense):
                link = Link("dense", pre, (stage.units, 1, 1), feedback=self.feedback)
            else:
                side = [(n + 2 * stage.padding - stage.kernel + 1) // F for n in pre[1:]]
                post = (stage.channels, side[0], side[1])
                link = Link(
                    self.pooling, pre, post, stage.kernel, stage.padding, self.alpha, self.fold, self.feedback
                )
            links.append(link)
            pre = link.post
        assert pre[1:] == (1, 1), f"the last stage has {pre}; it must be dense, with a unit for each class"
        return tuple(links)

    @property
    def classes(self) -> int:
        return self.links[-1].post[0]

    @property
    def dynamic(self) -> tuple[Link, ...]:
        """The links without the readout."""
        return self.links[: len(self.links) - self.softmax]

    def initial(
        self,
        seed: int,
        gain: float = 1.0,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        glorot: bool = False,
    ) -> Parameters:
        """Draw initial weights, uniform in +-gain/sqrt(fan_in); biases are 0.

        gain: 1 is torch's default, sqrt(6) that of He et al. 2015. glorot: +-gain sqrt(6/(fan_in + units))
        instead, for dense links.
        """
        random = torch.Generator().manual_seed(seed)
        bounds = [(6 / (k.fan_in + k.post[0])) ** 0.5 if glorot else k.fan_in**-0.5 for k in self.links]
        weights = [
            (2 * torch.rand(k.weight_shape, generator=random, device="cpu") - 1) * gain * bound
            for k, bound in zip(self.links, bounds, strict=True)
        ]
        return Parameters(
            tuple(w.to(device, dtype) for w in weights),
            tuple(torch.zeros(k.post[0], device=device, dtype=dtype) for k in self.links),
        )


def fold(w: Tensor) -> Tensor:
    """Fold 2x2 average pooling into a kernel, (o, c, k, k) to (o, c, k+1, k+1): the mean of its four copies
    that are shifted by 0 or 1 rows and columns."""
    a, b = functional.pad(w, (0, 1)), functional.pad(w, (1, 0))
    rows = a + b
    return (functional.pad(rows, (0, 0, 0, 1)) + functional.pad(rows, (0, 0, 1, 0))) / ADJOINT


def kernels(links: Sequence[Link], weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the kernels that `forward` and `backward` take: the weights, of folded links those of `fold`."""
    return [fold(w) if link.folded else w for link, w in zip(links, weights, strict=False)]


def forward(link: Link, s: Tensor, w: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the first term of eq. 9, P(w * s), or w s if dense: (batch, *pre) to (batch, *post).

    The second value is the indices of the maxima if the pooling is "maximum", else None. w: of `kernels`.
    """
    if link.kind == "dense":
        return (s.flatten(1) @ w.T)[:, :, None, None], None
    if link.folded:
        return functional.conv2d(s, w, stride=F, padding=link.padding), None
    product = functional.conv2d(s, w, padding=link.padding)
    return pooling.maximum(product) if link.kind == "maximum" else (pooling.average(product), None)


def backward(link: Link, s: Tensor, w: Tensor, indices: Tensor | None) -> Tensor:
    """Return the second term of eq. 9, feedback * w^T P^-1(s), or feedback * w^T s if dense: (batch, *post)
    to (batch, *pre); the drive from a dense layer to a convolution's map is reshaped.

    w: of `kernels`. indices: of the maxima, from `forward`.
    """
    factor = link.feedback
    if link.kind == "dense":
        back = (s.flatten(1) @ w).unflatten(1, link.pre)
    elif link.folded:
        odd = (link.map[0] % F, link.map[1] % F)
        back = functional.conv_transpose2d(s, w, stride=F, padding=link.padding, output_padding=odd)
        factor *= ADJOINT / link.alpha
    else:
        back = functional.conv_transpose2d(inverse(link, s, indices), w, padding=link.padding)
    return back if factor == 1 else back * factor


def inverse(link: Link, s: Tensor, indices: Tensor | None) -> Tensor:
    """Return P^-1(s), eq. 14 or 16: (batch, *post) to the size of the convolution's output before pooling."""
    if indices is None:
        return pooling.spread(s, link.map, link.alpha)
    return pooling.unpool(s, indices, link.map)


def products(link: Link, pre: Tensor, post: Tensor, w: Tensor) -> Tensor:
    """Return one term of eq. 11, summed over the batch: d<P(w * pre), post>/dw, in the shape of w.

    Dense: post pre^T. Eq. 11 pairs pre of layer n with post of layer n+1 and doesn't state which of them is
    the kernel; here w_n joins layers n-1 and n as in eq. 9. The correlation includes 1/alpha of the inverse.
    """
    if link.kind == "dense":
        return post.flatten(1).T @ pre.flatten(1)
    indices = (
        pooling.maximum(functional.conv2d(pre, w, padding=link.padding))[1]
        if link.kind == "maximum"
        else None
    )
    return grad.conv2d_weight(pre, link.weight_shape, inverse(link, post, indices), padding=link.padding)


def readout(network: Network, parameters: Parameters, xi: Tensor) -> Tensor:
    """Return the class probabilities softmax(W xi + b), (batch, classes), of a network with `softmax`."""
    assert network.softmax, "the output is a layer"
    return functional.softmax(
        functional.linear(xi.flatten(1), parameters.weights[-1], parameters.biases[-1]), 1
    )
