"""The interface of the boards that `open_board` returns."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from nudge.golden.contract.config import Config
from nudge.golden.training.batch import Batch
from nudge.golden.training.board import Board, inferred, trained
from nudge.golden.training.data import Data

from .held import Held


class OpenBoard(Board, Protocol):
    """A board with digests and registers, in use until it is closed: a context manager, or call `close`."""

    config: Config  #: network and lanes; the digest depends on the lanes
    name: str  #: name in messages

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """As `golden.training.board.Ahead.train_batches`; this default draws no batch ahead."""
        return trained(self, batches)

    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """As `golden.training.board.Ahead.infer_batches`; this default draws no batch ahead."""
        return inferred(self, batches)

    def hold(self, data: Data, train: int, test: bool = False) -> Held | None:
        """Store the first `train` training samples in the board; if `test`, the test samples too if they fit.

        `train_batches` and `infer_batches` then use the stored samples. Return None without a memory, or if
        the training samples don't fit; all samples are then streamed.
        """
        return None

    def core_rate(self) -> float | None:
        """Return the training samples a second of the core alone, commits included, over all `train_batches`.

        None before any of them is trained, and for a model, which has no clock.
        """
        return None

    @abstractmethod
    def digest(self) -> tuple[int, ...]:
        """CRC-32 of each bundle's masters, in the order of `golden.contract.layout`."""

    @abstractmethod
    def registers(self) -> dict[str, int]:
        """Settings and counters of this board, by their names in `golden.contract.protocol.registers`."""

    @abstractmethod
    def clear(self) -> None:
        """Set all counters except `pending` to 0."""

    @abstractmethod
    def close(self) -> None:
        """Release the board; it can't be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
