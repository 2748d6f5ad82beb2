"""Centred commits: each connection reads xi less the running mean of its channel.

With y = w (x - c) + a instead of w x + b, a batch moves w by its own update less c times that of a, and b
such that the network's output is the same at x = c. The part of the updates that all samples have in common
then no longer moves all weights of a neuron at once, and rates may be larger.

The floating-point models do the same in `paper.systems.centre`, which names the sources. A commit uses the
means left by the commits before, so that gateware can know them while it computes the updates.
docs/arithmetic.md has the arithmetic to the last bit.
"""

import torch
from torch import Tensor

from nudge.golden.contract.schedule import FOLLOW
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec

from . import ops
from .parameters import Parameters


def read(images: Tensor, free: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the sums of each bundle's pre channels over samples and positions, (pre channels,) int64.

    Bundle 1 sums pixels, the others window sums. images: (batch, channels, height, width). free: window sums
    of the free phase of layers 1..N, (batch, channels, height, width).
    """
    return tuple(x.long().sum((0, 2, 3)) for x in (images, *free[:-1]))


def mean(spec: Spec, bundle: Bundle, total: Tensor, samples: int) -> Tensor:
    """Return the mean of x over the batch, (pre channels,), in the LSB of biases, rounded half up.

        mean = floor((2 (total << bias_fraction) + whole) / (2 whole)),  whole = samples * read_bound

    total: `read` of these samples. x is 0..1: a pixel, or xi in the free phase.
    """
    one = samples * spec.read_bound(bundle)
    return torch.div(2 * (total << spec.formats.bias_fraction) + one, 2 * one, rounding_mode="floor")


def begun(spec: Spec, totals: tuple[Tensor, ...], samples: int) -> tuple[Tensor, ...]:
    """Return running means that begin with the means of these samples. totals: `read` of them, by bundle."""
    return tuple(
        mean(spec, bundle, total, samples) << FOLLOW
        for bundle, total in zip(spec.bundles, totals, strict=True)
    )


def follow(kept: Tensor, now: Tensor) -> Tensor:
    """Return a running mean after another commit, times 2^FOLLOW; at first it is 0, or `begun`.

        kept[n+1] = kept[n] - (kept[n] >> FOLLOW) + now

    now: `mean` of the batch.
    """
    return kept - (kept >> FOLLOW) + now


def commit(spec: Spec, before: Parameters, updates: Parameters, samples: int) -> Parameters:
    """Return the parameters after a commit of `samples` samples.

    Masters are within [-1, 1); the means are those for the next commit. updates: summed over the samples,
    with `read` of them as its means. A bias compensates for the actual change of its weights, after clipping.
    """
    bundles = zip(spec.bundles, zip(*before, strict=True), zip(*updates, strict=True), strict=True)
    return Parameters(
        *map(tuple, zip(*(commit_bundle(spec, *each, samples) for each in bundles), strict=True))
    )


def commit_bundle(
    spec: Spec, bundle: Bundle, before: tuple[Tensor, ...], updates: tuple[Tensor, ...], samples: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return one bundle's weights, biases and means after a commit.

    c    = rhu(kept, FOLLOW)                                           per pre channel
    w'   = clip(w + dw - rhu(db c, bias_fraction), master_low, master_high)
    b'   = clip(b + db - rhu(sum of c (w' - w), bias_fraction), master_low, master_high)
    kept = follow(kept, mean(total))
    """
    f = spec.formats
    (w, b, kept), (dw, db, total) = before, updates
    # (post, pre channels, taps or positions): a dense bundle has all positions of a channel next to each
    # other
    shape, c = (bundle.post.channels, bundle.pre.channels, -1), ops.rhu(kept, FOLLOW)
    common = ops.rhu(db[:, None] * c, f.bias_fraction)[:, :, None]
    new = (dw.view(shape) - common).add_(w.view(shape)).clamp_(f.master_low, f.master_high)
    moved = new.sum(2) - w.view(shape).sum(2)
    bias = ops.commit(b + db - ops.rhu((c * moved).sum(1), f.bias_fraction), f)
    return new.view(w.shape), bias, follow(kept, mean(spec, bundle, total, samples))
