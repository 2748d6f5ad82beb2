"""What `open_board` opens: a board with an end, whose weights and counters can be checked."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from golden.contract.config import Config
from golden.training.batch import Batch
from golden.training.board import Board, inferred, trained
from golden.training.data import Data

from .held import Held


class OpenBoard(Board, Protocol):
    """A board that is held until it is closed. Use it as a context manager, or `close` it."""

    config: Config  #: the network, and the lanes that the digest depends on
    name: str  #: for messages

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """As `golden.training.board.Ahead.train_batches`; here with nothing ahead."""
        return trained(self, batches)

    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """As `golden.training.board.Ahead.infer_batches`; here with nothing ahead."""
        return inferred(self, batches)

    def hold(self, data: Data, train: int, test: bool = False) -> Held | None:
        """Bring the first `train` training samples into the board's memory; with `test` the test samples too, if they fit.

        `train_batches` and `infer_batches` then take them from there. None: no memory, or too little; they are streamed.
        """
        return None

    def core_rate(self) -> float | None:
        """Training samples a second of the core alone, commits included, over all that `train_batches` trained.

        None: nothing yet, or a model, which has no clock.
        """
        return None

    @abstractmethod
    def digest(self) -> tuple[int, ...]:
        """CRC-32 of each bundle's masters, in the order of `golden.contract.layout`."""

    @abstractmethod
    def registers(self) -> dict[str, int]:
        """Settings and counters by the names of `golden.contract.protocol.registers`; those that it has."""

    @abstractmethod
    def clear(self) -> None:
        """Zero all counters but `pending`."""

    @abstractmethod
    def close(self) -> None:
        """Let the board go; it can't be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
