"""A serial port in this process: a board in software behind a line that may damage what it carries, in time that is counted."""

from typing import Any

from host.training.timed_port import Answering, Clock, TimedPort

from .faults import Faults


class FaultPort(TimedPort):
    """A `TimedPort` whose line may be bad, or lost. Deterministic: the same seeds end in the same way, each time.

    up, down: the line to the board and back; None: good. timing: of `TimedPort`; without it the board answers at once.
    """

    def __init__(
        self, board: Answering | None, clock: Clock, up: Faults | None = None, down: Faults | None = None, **timing: Any
    ):
        super().__init__(board, clock, **timing)
        self.up, self.down = up, down
        self.open = True
        self._lost = False

    @property
    def hits(self) -> int:
        """Faults so far."""
        return sum(line.hits for line in (self.up, self.down) if line)

    def write(self, data: bytes) -> None:
        """To the board."""
        self._check()
        super().write(self.up.carry(data) if self.up else data)

    def read(self, size: int) -> bytes:
        """From the board."""
        self._check()
        return super().read(size)

    def _answered(self, answer: bytes, at: float) -> None:
        super()._answered(self.down.carry(answer) if self.down else answer, at)

    def cut(self) -> None:
        """The connection is lost: reads and writes fail until `join`."""
        self._lost = True

    def join(self) -> None:
        """Connect anew; what was under way to the host is lost, what the board has of a frame is not."""
        self.open, self._lost = True, False
        self._coming.clear()
        self._here.clear()

    def say(self, data: bytes) -> None:
        """Bytes for the host from nowhere."""
        self._here += data

    def _check(self) -> None:
        assert self.open
        if self._lost:
            raise OSError("connection lost")

    def close(self) -> None:
        """Not to be used again before `join`."""
        self.open = False
