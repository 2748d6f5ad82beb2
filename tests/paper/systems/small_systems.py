"""Random tensors, the embedded digits and a narrow 2C2FC, for tests of the paper's systems."""

import torch
from torch import Tensor

from nudge.golden.training import data
from nudge.paper.systems import train as training
from nudge.paper.systems.own import two_conv_two_dense

DIGITS = data.load("embedded")

#: Narrow 2C2FC: its maps are 26 -> 13 and 11 -> 5, whatever the widths.
NARROW = two_conv_two_dense(3, 4, 12)


def pixels(count: int) -> Tensor:
    return training.pixels(DIGITS.train_images[:count], "cpu").double()


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def inner(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())
