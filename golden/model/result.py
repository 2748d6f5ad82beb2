"""Result of a batch, from any engine."""

from typing import NamedTuple

from torch import Tensor

from .parameters import Parameters


class Result(NamedTuple):
    """Predictions, spikes and updates of a batch."""

    #: Shape (batch,), int64.
    predictions: Tensor
    #: Spikes of each layer 1..N, over all samples, steps and phases.
    spikes: list[int]
    #: Updates summed over the samples, with `centring.read` as means if commits are centred; zeros without
    #: labels.
    updates: Parameters
