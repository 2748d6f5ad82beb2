"""Centred updates: a gradient step in other parameters of the same network, whose links read x - mean(x).

The network is written as y = w (x - m) + c instead of y = w x + b, so b = c - w m. A step along the gradients
g_w and g_b then becomes

    delta w = g_w - g_b m^T,  delta b = g_b - delta w m.

The part of the update common to all samples no longer moves all weights of a neuron at once, so learning
rates can be larger. m is the running mean of each channel, or of each unit where both the link and the one
below are dense. With a constant m the dynamics still have an energy, and equilibrium propagation's update is
still its gradient.

Centring of inputs: LeCun, Bottou, Orr and Müller 1998. Of differences of correlations, in Boltzmann machines:
Cho, Raiko and Ilin 2011, Montavon and Müller 2012.
"""

import torch
from torch import Tensor

#: Weight of a new measurement in the running mean.
FOLLOW = 0.1


def channel_mean(x: Tensor) -> Tensor:
    """Return the mean of each channel: (batch, channels[, height, width]) to (channels,)."""
    return x.transpose(0, 1).flatten(1).mean(1)


def followed(before: list[Tensor], now: list[Tensor]) -> list[Tensor]:
    """Return the running means, before + FOLLOW (now - before); the first measurement is taken as it is."""
    return [torch.lerp(old, new, FOLLOW) for old, new in zip(before, now, strict=True)] if before else now


def centred(weight: Tensor, bias: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Centre a link's gradients or updates: return (weight - bias m^T, bias - (weight - bias m^T) m).

    weight: (post, pre, k, k) or (post, pre neurons). bias: (post,). mean: the running mean m of the link's
    input, (pre channels,). Exact for convolutions without padding only.
    """
    rest = [1] * (weight.dim() - 2)
    m = mean.repeat_interleave(weight.shape[1] // len(mean)).view(1, -1, *rest)
    weight = weight - bias.view(-1, 1, *rest) * m
    return weight, bias - (weight * m).flatten(1).sum(1)
