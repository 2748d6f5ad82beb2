"""Input and result of the estimate of cycles: the activity of a network, and cycles per sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Activity(Protocol):
    """Spikes that were counted in the model: the interface of `golden.model.activity.Activity`."""

    @property
    def free(self) -> int: ...
    @property
    def nudged(self) -> int: ...
    @property
    def spikes(self) -> Mapping[int, np.ndarray]: ...
    @property
    def fired(self) -> Mapping[int, np.ndarray]: ...
    @property
    def forward(self) -> Mapping[int, np.ndarray]: ...
    @property
    def backward(self) -> Mapping[int, np.ndarray]: ...


@dataclass(frozen=True)
class Cycles:
    """Clock cycles per sample, including its share of the cycles that a batch takes once."""

    training: float
    inference: float
    #: Mean length of a half of a sweep in training; 0 for the compact core.
    half: float
    #: Name of the limit of the rate: "sweeps", "static drive", "update" or "images"; a phrase if compact.
    limit: str
