"""A serial line and a board in software that take their time, in time that is counted: what baud rate and delay cost."""

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from host.link import frame

#: Bit times of a byte: start bit, 8 bits, stop bit.
BYTE_BITS = 10


class Clock:
    """Time that passes only when somebody waits for it: what takes seconds on a line takes none here."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Answering(Protocol):
    """A board in software."""

    def answer(self, piece: bytes) -> bytes:
        """The body of the answer to the bytes between two zeros."""


class TimedPort:
    """What `Link` needs of `serial.Serial`: a full-duplex line at `baud` to a board that takes `seconds` for each request.

    board: None never answers. clock: moved on by a read that waits. delay: added to each round trip, half of it each way, as a
    USB adapter adds it. seconds: a function is asked after each request was executed, and then the board's next request waits
    until the transmitter has taken its answer, as it does where samples don't overlap. sent, answered: bytes carried so far.
    working: seconds in which the board had something to do.
    """

    def __init__(
        self,
        board: Answering | None,
        clock: Clock,
        *,
        baud: float = math.inf,
        delay: float = 0.0,
        seconds: float | Callable[[], float] = 0.0,
    ):
        self.board, self.clock = board, clock
        self.byte, self.way, self.seconds = BYTE_BITS / baud, delay / 2, seconds
        self.timeout = 0.0
        self.sent = self.answered = 0
        self.working = 0.0
        self._received = bytearray()
        self._up_free = self._board_free = self._down_free = 0.0
        self._coming: deque[tuple[float, bytes]] = deque()
        self._here = bytearray()

    def write(self, data: bytes) -> None:
        """Into the adapter's buffer; the line carries it when it is free."""
        start = max(self.clock.now, self._up_free)
        self.sent += len(data)
        self._up_free = start + len(data) * self.byte
        *ended, rest = data.split(b"\0")
        at = 0
        for piece in ended:
            self._received += piece
            at += len(piece) + 1
            if self._received:
                self._answer(start + at * self.byte + self.way)
        self._received += rest

    def _answer(self, arrival: float) -> None:
        piece = bytes(self._received)
        self._received.clear()
        if self.board is None:
            return
        answer = frame.encode_answer(self.board.answer(piece))
        begin = max(arrival, self._board_free)
        taken = self.seconds if isinstance(self.seconds, float) else self.seconds()
        self._board_free = begin + taken
        self.working += taken
        self.answered += len(answer)
        sending = max(self._board_free, self._down_free)
        if not isinstance(self.seconds, float):
            self._board_free = sending
        self._down_free = sending + len(answer) * self.byte
        self._answered(answer, self._down_free + self.way)

    def _answered(self, answer: bytes, at: float) -> None:
        self._coming.append((at, answer))

    def read(self, size: int) -> bytes:
        """What is there; else what comes first within the time-out."""
        self._arrive()
        if not self._here and self.timeout:
            limit = self.clock.now + self.timeout
            self.clock.now = min(limit, self._coming[0][0]) if self._coming else limit
            self._arrive()
        data = bytes(self._here[:size])
        del self._here[:size]
        return data

    def _arrive(self) -> None:
        while self._coming and self._coming[0][0] <= self.clock.now:
            self._here += self._coming.popleft()[1]

    def close(self) -> None:
        """Nothing to do."""
