"""Centred updates, at a commit: steps of the same network in which each link reads xi less its channel's running mean.

With y = w (x - c) + a instead of w x + b, a step moves w by its own update less c times that of a, and b so that the network
is the same at x = c: what all samples have in common no longer moves all weights of a neuron at once, and rates may be larger.
The floating-point models have the same in `paper.systems.centre`, which names the sources. A commit is centred by the
means as the commits before left them, so that gateware could know them while it makes the updates; docs/arithmetic.md has it to
the last bit.
"""

import torch
from torch import Tensor

from golden.contract.schedule import FOLLOW
from golden.contract.shapes import Bundle
from golden.contract.spec import Spec

from . import ops
from .parameters import Parameters


def read(images: Tensor, free: list[Tensor]) -> tuple[Tensor, ...]:
    """What each bundle's pre channels sum to over samples and positions, (pre channels,) int64: pixels, then window sums.

    images: (batch, channels, height, width). free: window sums of the free phase of layers 1..N, likewise.
    """
    return tuple(x.long().sum((0, 2, 3)) for x in (images, *free[:-1]))


def mean(spec: Spec, bundle: Bundle, total: Tensor, samples: int) -> Tensor:
    """`read` of so many samples as the mean of x, 0..1 of (pre channels,), in the LSB of biases, rounded half up."""
    one = samples * spec.read_bound(bundle)
    return torch.div(2 * (total << spec.formats.bias_fraction) + one, 2 * one, rounding_mode="floor")


def follow(kept: Tensor, now: Tensor) -> Tensor:
    """A running mean after another commit, times 2^FOLLOW, from 0 at first. now: `mean`."""
    return kept - (kept >> FOLLOW) + now


def commit(spec: Spec, before: Parameters, updates: Parameters, samples: int) -> Parameters:
    """What a commit of so many samples leaves: masters within [-1, 1), and means for the next one.

    updates: summed over the samples, with `read` of them as its means. A bias makes up for what its weights really move, which
    clipping may have cut.
    """
    bundles = zip(spec.bundles, zip(*before, strict=True), zip(*updates, strict=True), strict=True)
    return Parameters(*map(tuple, zip(*(commit_bundle(spec, *each, samples) for each in bundles), strict=True)))


def commit_bundle(
    spec: Spec, bundle: Bundle, before: tuple[Tensor, ...], updates: tuple[Tensor, ...], samples: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of one bundle: weights, biases and means."""
    f = spec.formats
    (w, b, kept), (dw, db, total) = before, updates
    # (post, pre channels, taps or positions): a dense bundle has all positions of a channel side by side
    shape, c = (bundle.post.channels, bundle.pre.channels, -1), ops.rhu(kept, FOLLOW)
    common = ops.rhu(db[:, None] * c, f.bias_fraction)[:, :, None]
    new = (dw.view(shape) - common).add_(w.view(shape)).clamp_(f.master_low, f.master_high)
    moved = new.sum(2) - w.view(shape).sum(2)
    bias = ops.commit(b + db - ops.rhu((c * moved).sum(1), f.bias_fraction), f)
    return new.view(w.shape), bias, follow(kept, mean(spec, bundle, total, samples))
