"""A serial line and a board that take their time, in time that is counted: what pipelining makes of baud rate and delay."""

from collections import deque
from collections.abc import Callable

from host.link import frame

from .fault_port import Clock
from .protocol_model import ProtocolModel

#: Bit times of a byte: start bit, 8 bits, stop bit.
BYTE_BITS = 10


class TimedPort:
    """What `Link` needs of `serial.Serial`: a full-duplex line at `baud` to a board that takes `seconds` for each request.

    delay: added to each round trip, half of it each way, as a USB adapter adds it. seconds: a function is asked after each
    request was executed, and then the board's next request waits until the transmitter has taken its answer, as it does where
    samples don't overlap. Afterwards, `up` and `down` are bytes carried, `working` the seconds in which the board had something
    to do.
    """

    def __init__(
        self, protocol: ProtocolModel, clock: Clock, *, baud: float, delay: float, seconds: float | Callable[[], float]
    ):
        self.protocol, self.clock = protocol, clock
        self.byte, self.way, self.seconds = BYTE_BITS / baud, delay / 2, seconds
        self.timeout = 0.0
        self.up = self.down = 0
        self.working = 0.0
        self._received = bytearray()
        self._up_free = self._board_free = self._down_free = 0.0
        self._coming: deque[tuple[float, bytes]] = deque()
        self._here = bytearray()

    def write(self, data: bytes) -> None:
        """Into the adapter's buffer; the line carries it when it is free."""
        start = max(self.clock.now, self._up_free)
        self.up += len(data)
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
        answer = frame.encode_answer(self.protocol.answer(bytes(self._received)))
        self._received.clear()
        begin = max(arrival, self._board_free)
        taken = self.seconds if isinstance(self.seconds, float) else self.seconds()
        self._board_free = begin + taken
        self.working += taken
        self.down += len(answer)
        sending = max(self._board_free, self._down_free)
        if not isinstance(self.seconds, float):
            self._board_free = sending
        self._down_free = sending + len(answer) * self.byte
        self._coming.append((self._down_free + self.way, answer))

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
