"""Centred updates: a step of the same network with other parameters, in which each link reads x less its mean.

With y = w (x - m) + c instead of w x + b, steps of equal size in w and c move w by its own gradient less m times that of c:
what all samples have in common no longer moves all weights of a neuron at once, and the others may take larger steps. b
follows, so that the network is the same. m is the running mean of each channel, of each unit where the link is dense and so
is the one below. With a constant m there is an energy as before: equilibrium propagation's update is still its own.

For inputs: LeCun, Bottou, Orr and Müller 1998. For differences of correlations, in Boltzmann machines: Cho, Raiko and Ilin
2011, Montavon and Müller 2012.
"""

import torch
from torch import Tensor

#: Of the way from the running mean to a new one, how much it goes at each.
FOLLOW = 0.1


def channel_mean(x: Tensor) -> Tensor:
    """(batch, channels), or (batch, channels, height, width), to (channels,)."""
    return x.transpose(0, 1).flatten(1).mean(1)


def followed(before: list[Tensor], now: list[Tensor]) -> list[Tensor]:
    """The running means after another measurement; the first is taken as it is."""
    return [torch.lerp(old, new, FOLLOW) for old, new in zip(before, now, strict=True)] if before else now


def centred(weight: Tensor, bias: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients or updates of weights, (post, pre, k, k) or (post, pre neurons), and biases, (post,): the centred ones.

    mean: (pre channels,) of what it reads. A convolution has no zeros around its input.
    """
    rest = [1] * (weight.dim() - 2)
    m = mean.repeat_interleave(weight.shape[1] // len(mean)).view(1, -1, *rest)
    weight = weight - bias.view(-1, 1, *rest) * m
    return weight, bias - (weight * m).flatten(1).sum(1)
