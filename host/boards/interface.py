"""What `open_board` opens: a board with an end, whose weights and counters can be checked."""

from abc import abstractmethod
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from golden.contract.config import Config
from golden.training.board import Board


class OpenBoard(Board, Protocol):
    """A board that is held until it is closed. Use it as a context manager, or `close` it."""

    config: Config  #: the network, and the lanes that the digest depends on
    name: str  #: for messages

    @abstractmethod
    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """As `Board.train`."""

    @abstractmethod
    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        """As `Board.infer`."""

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
