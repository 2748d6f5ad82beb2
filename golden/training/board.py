"""What trains and infers: the one protocol that real boards, simulated ones and the model fulfil."""

from abc import abstractmethod
from typing import Protocol

import numpy as np
from torch import Tensor

from golden.contract.spec import Spec
from golden.model.parameters import Parameters
from golden.model.settings import Settings


class Board(Protocol):
    """A network with its weights and settings; `golden.model.fixed.FixedModel` is one.

    Raises `BoardError` where it refuses a request, `ModelError` for values that no board takes,
    `LinkError` where it can't be reached.
    """

    spec: Spec  #: the network that it is built for

    @abstractmethod
    def write_settings(self, settings: Settings) -> None:
        """Set steps, beta and rates."""

    @abstractmethod
    def load(self, parameters: Parameters) -> None:
        """Write all masters and commit. Refused while samples are pending."""

    @abstractmethod
    def read(self) -> Parameters:
        """The masters as of the last commit. Refused while samples are pending."""

    @abstractmethod
    def train(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray | Tensor:
        """Train on uint8 images (n, 28, 28) with labels (n,); predictions (n,) int64.

        The masters change at `commit`. Refused beyond the batch register.
        """

    @abstractmethod
    def infer(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray | Tensor:
        """Predictions (n,) int64 of uint8 images (n, 28, 28); the labels only serve its error counter."""

    @abstractmethod
    def commit(self) -> int:
        """Make the pending samples' updates final; how many samples that were."""
