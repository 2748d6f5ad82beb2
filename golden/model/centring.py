"""Centred updates, at a commit: steps of the same network in which each link reads xi less its channel's mean over the batch.

With y = w (x - c) + a instead of w x + b, a step moves w by its own update less c times that of a, and b so that the network
is the same at x = c: what all samples have in common no longer moves all weights of a neuron at once, and rates may be larger.
The floating-point models have the same in `golden.paper.systems.centre`, which names the sources, with a running mean. The mean
of the batch itself needs no state, so that a run goes on from its weights alone. docs/arithmetic.md has it to the last bit.
"""

import torch
from torch import Tensor

from golden.contract.shapes import Bundle
from golden.contract.spec import Spec

from . import ops
from .parameters import Parameters


def none_read(spec: Spec, device: torch.device | str = "cpu") -> list[Tensor]:
    """`read` of no samples."""
    return [torch.zeros(bundle.pre.channels, dtype=torch.int64, device=device) for bundle in spec.bundles]


def read(images: Tensor, free: list[Tensor]) -> list[Tensor]:
    """What each bundle's pre channels sum to over samples and positions, (pre channels,) int64: pixels, then window sums.

    images: (batch, channels, height, width). free: window sums of the free phase of layers 1..N, likewise.
    """
    return [x.long().sum((0, 2, 3)) for x in (images, *free[:-1])]


def mean(spec: Spec, bundle: Bundle, total: Tensor, samples: int) -> Tensor:
    """`read` of so many samples as the mean of x, 0..1 of (pre channels,), in the LSB of biases, rounded half up."""
    f = spec.formats
    bits = f.pixel_bits if bundle.on_image else f.state_fraction + spec.schedule.window_log2
    one = samples * bundle.pre.positions << bits
    return torch.div(2 * (total << f.bias_fraction) + one, 2 * one, rounding_mode="floor")


def commit(spec: Spec, masters: Parameters, updates: Parameters, totals: list[Tensor], samples: int) -> Parameters:
    """The masters after a commit of so many samples with these updates, within [-1, 1). totals: `read`, over all of them.

    masters: as of the last commit. A bias makes up for what its weights really move, which clipping may have cut.
    """
    f = spec.formats
    weights, biases = [], []
    for bundle, w, b, dw, db, total in zip(spec.bundles, *masters, *updates, totals, strict=True):
        # (post, pre channels, taps or positions): a dense bundle has all positions of a channel side by side
        shape, c = (bundle.post.channels, bundle.pre.channels, -1), mean(spec, bundle, total, samples)
        common = ops.rhu(db[:, None] * c, f.bias_fraction)[:, :, None]
        new = (dw.view(shape) - common).add_(w.view(shape)).clamp_(f.master_low, f.master_high)
        moved = new.sum(2) - w.view(shape).sum(2)
        weights.append(new.view(w.shape))
        biases.append(ops.commit(b + db - ops.rhu((c * moved).sum(1), f.bias_fraction), f))
    return Parameters(tuple(weights), tuple(biases))
