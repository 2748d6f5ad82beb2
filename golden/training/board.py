"""What trains and infers: the one protocol that real boards, simulated ones and the model fulfil."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from golden.contract.spec import Spec
from golden.model.parameters import Parameters
from golden.model.settings import Settings

from .batch import Batch


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
    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """Train on uint8 images (n, *Input.shape), of one channel also without it, with labels (n,); predictions (n,) int64.

        The masters change at `commit`. Refused beyond the batch register.
        """

    @abstractmethod
    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """Predictions (n,) int64 of images as in `train`; the labels only serve its error counter."""

    @abstractmethod
    def commit(self) -> int:
        """Make the pending samples' updates final; how many samples that were."""


@runtime_checkable
class Ahead(Protocol):
    """A board that is told ahead what it will train, so that it doesn't wait for the host between two batches."""

    @abstractmethod
    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Train and commit each batch, in order; its predictions (n,) int64 when both are done.

        `batches` is drawn ahead. After the last one's predictions the board rests; before that it may be used for nothing
        else. An error leaves it open which of the batches drawn were committed.
        """

    @abstractmethod
    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The predictions (n,) int64 of each batch, in the same way."""


def train_batches(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """`Ahead.train_batches` of any board."""
    return board.train_batches(batches) if isinstance(board, Ahead) else trained(board, batches)


def infer_batches(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """`Ahead.infer_batches` of any board."""
    return board.infer_batches(batches) if isinstance(board, Ahead) else inferred(board, batches)


def trained(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """`Ahead.train_batches` with nothing ahead."""
    for batch in batches:
        predictions = board.train(batch.images, batch.labels)
        board.commit()
        yield predictions


def inferred(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """`Ahead.infer_batches` with nothing ahead."""
    for batch in batches:
        yield board.infer(batch.images, batch.labels)
