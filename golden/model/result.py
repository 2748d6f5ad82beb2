"""What the board computes for a batch, by whichever engine."""

from typing import NamedTuple

from torch import Tensor

from .parameters import Parameters


class Result(NamedTuple):
    """What a batch gives."""

    #: (batch,) int64.
    predictions: Tensor
    #: Of each layer 1..N, over all samples, steps and phases.
    spikes: list[int]
    #: Summed over the samples, and as its means, if updates are centred, `centring.read`; zeros without labels.
    updates: Parameters
