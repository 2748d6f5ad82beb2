"""A model of a serial line to a board in software, with baud rate and delay, in time that is counted."""

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

from nudge.host.link import frame

#: Bit times of a byte: start bit, 8 data bits, stop bit.
BYTE_BITS = 10


class Clock:
    """A clock in seconds that advances only when a read waits, so a simulated wait takes no real time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Answering(Protocol):
    """A board in software."""

    def answer(self, piece: bytes) -> bytes:
        """Return the body of the answer to the bytes between two zero bytes."""


class TimedPort:
    """The part of `serial.Serial` that `Link` uses: a full-duplex line at `baud` to a board in software.

    board: None never answers. clock: advanced by a read that waits. delay: seconds added to each round trip,
    half of them each way, as by a USB adapter. seconds: time of each request. If it is a function, it is
    called after each request; the board then begins the next request only when the transmitter is free for
    this one's answer, as if samples don't overlap. sent, answered: bytes sent to the board and back so far.
    working: seconds in which the board was busy. most_kept: largest number of bytes that the adapter has
    received from the board and the host has not read.
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
        self.most_kept = 0
        self._coming: deque[tuple[float, bytes]] = deque()
        self._here = bytearray()

    def write(self, data: bytes) -> None:
        """Put bytes into the adapter's buffer; they are sent when the line is free."""
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
        here = at - self.way
        self.most_kept = max(self.most_kept, sum(len(late) for until, late in self._coming if until > here))

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes received, after waiting for the first for `timeout` seconds at most."""
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
        """Do nothing; for the interface."""
