"""A serial port in this process: a modelled board behind a line that may damage what it carries, in time that is counted."""

from host.link import frame

from .faults import Faults
from .protocol_model import ProtocolModel


class Clock:
    """Time that passes only when somebody waits for it: what takes seconds on a line takes none here."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FaultPort:
    """What `Link` needs of `serial.Serial`. Deterministic: the same seeds end in the same way, each time.

    protocol: the board; None says nothing. clock: moved on by a read that waits in vain. up, down: the line to the board and
    back; None: good. sent, answered: bytes so far on each, before damage.
    """

    def __init__(self, protocol: ProtocolModel | None, clock: Clock, up: Faults | None = None, down: Faults | None = None):
        self.protocol, self.clock, self.up, self.down = protocol, clock, up, down
        self.timeout = 0.0
        self.sent = self.answered = 0
        self._received = bytearray()
        self._sending = bytearray()
        self._lost = False

    def write(self, data: bytes) -> None:
        """To the board, which answers at once."""
        self._check()
        self.sent += len(data)
        self._received += self.up.carry(data) if self.up else data
        *pieces, rest = bytes(self._received).split(b"\0")
        self._received = bytearray(rest)
        for piece in filter(None, pieces):
            if self.protocol is None:
                return
            answer = frame.encode_answer(self.protocol.answer(piece))
            self.answered += len(answer)
            self._sending += self.down.carry(answer) if self.down else answer

    def read(self, size: int) -> bytes:
        """What is there; the time-out passes if nothing is."""
        self._check()
        if not self._sending:
            self.clock.now += self.timeout
        data = bytes(self._sending[:size])
        del self._sending[:size]
        return data

    def say(self, data: bytes) -> None:
        """Bytes for the host from nowhere."""
        self._sending += data

    def cut(self) -> None:
        """The connection is lost: reads and writes fail until `join`."""
        self._lost = True

    def join(self) -> None:
        """Connect anew; what was under way to the host is lost, what the board has of a frame is not."""
        self._lost = False
        self._sending.clear()

    def _check(self) -> None:
        if self._lost:
            raise OSError("connection lost")

    def close(self) -> None:
        """Nothing to do."""
