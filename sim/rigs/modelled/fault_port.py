"""A serial port in this process: a software board behind a line with faults, in simulated time."""

from typing import Any

from nudge.host.training.timed_port import Answering, Clock, TimedPort

from .faults import Faults


class FaultPort(TimedPort):
    """A `TimedPort` with faults on the line and lost connections. Deterministic: equal seeds give equal runs.

    up, down: faults towards the board and back; None: no faults. timing: arguments of `TimedPort`; by default
    the board answers at once.
    """

    def __init__(
        self,
        board: Answering | None,
        clock: Clock,
        up: Faults | None = None,
        down: Faults | None = None,
        **timing: Any,
    ):
        super().__init__(board, clock, **timing)
        self.up, self.down = up, down
        self.open = True
        self._lost = False

    @property
    def hits(self) -> int:
        """Number of faults so far, in both directions."""
        return sum(line.hits for line in (self.up, self.down) if line)

    def write(self, data: bytes) -> None:
        """Send bytes to the board through the line's faults."""
        self._check()
        super().write(self.up.carry(data) if self.up else data)

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes from the board."""
        self._check()
        return super().read(size)

    def _answered(self, answer: bytes, at: float) -> None:
        super()._answered(self.down.carry(answer) if self.down else answer, at)

    def cut(self) -> None:
        """Lose the connection: reads and writes raise `OSError` until `join`."""
        self._lost = True

    def join(self) -> None:
        """Connect again: bytes in transit to the host are lost; a partial frame in the board stays."""
        self.open, self._lost = True, False
        self._coming.clear()
        self._here.clear()

    def say(self, data: bytes) -> None:
        """Insert bytes that the host will read."""
        self._here += data

    def _check(self) -> None:
        assert self.open
        if self._lost:
            raise OSError("connection lost")

    def close(self) -> None:
        """Close the port; it must not be used before the next `join`."""
        self.open = False
