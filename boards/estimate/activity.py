"""What cycles are estimated from, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Activity(Protocol):
    """What is counted in the model, `golden.model.activity.Activity`."""

    @property
    def free(self) -> int: ...
    @property
    def nudged(self) -> int: ...
    @property
    def spikes(self) -> Mapping[int, np.ndarray]: ...
    @property
    def forward(self) -> Mapping[int, np.ndarray]: ...
    @property
    def backward(self) -> Mapping[int, np.ndarray]: ...


@dataclass(frozen=True)
class Cycles:
    """Of one sample, with its share of what a batch has once."""

    training: float
    inference: float
    #: Mean of a half of a sweep in training, 0 of the compact core.
    half: float
    #: What a sample waits for: its sweeps, its static drive, or the update of another.
    limit: str
