"""Interface of everything that trains and infers: real boards, simulated ones and the model."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Parameters
from nudge.golden.model.settings import Settings

from .batch import Batch


class Board(Protocol):
    """A network with its weights and settings; `golden.model.fixed.FixedModel` is one.

    Raises `BoardError` if it refuses a request, `ModelError` for values that no board takes, `LinkError` if
    it can't be reached.
    """

    spec: Spec  #: the network it is built for

    @abstractmethod
    def write_settings(self, settings: Settings) -> None:
        """Set steps, beta and rates."""

    @abstractmethod
    def load(self, parameters: Parameters) -> None:
        """Write all masters and commit. Refused while samples are pending."""

    @abstractmethod
    def read(self) -> Parameters:
        """Return the masters as of the last commit. Refused while samples are pending."""

    @abstractmethod
    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """Train on uint8 images (n, *Input.shape) with labels (n,); return predictions (n,) int64.

        Images of one channel may lack that dimension. The masters change at `commit`. Refused if more samples
        would be pending than the batch register allows.
        """

    @abstractmethod
    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """Return predictions (n,) int64 of images as in `train`; the labels only serve the error counter."""

    @abstractmethod
    def commit(self) -> int:
        """Make the pending samples' updates final; return the number of samples."""


@runtime_checkable
class Ahead(Protocol):
    """A board that takes batches in advance, so that it doesn't wait for the host between two batches."""

    @abstractmethod
    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Train and commit each batch, in order; yield its predictions (n,) int64 when both are done.

        `batches` is drawn in advance. After the last batch's predictions the board is idle; until then it
        must not be used for anything else. After an error it is unknown which of the drawn batches were
        committed.
        """

    @abstractmethod
    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Yield the predictions (n,) int64 of each batch, in the same way."""


def train_batches(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """Run `Ahead.train_batches` on any board."""
    return board.train_batches(batches) if isinstance(board, Ahead) else trained(board, batches)


def infer_batches(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """Run `Ahead.infer_batches` on any board."""
    return board.infer_batches(batches) if isinstance(board, Ahead) else inferred(board, batches)


def trained(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """Run `Ahead.train_batches` without drawing batches in advance."""
    for batch in batches:
        predictions = board.train(batch.images, batch.labels)
        board.commit()
        yield predictions


def inferred(board: Board, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
    """Run `Ahead.infer_batches` without drawing batches in advance."""
    for batch in batches:
        yield board.infer(batch.images, batch.labels)
