"""Frames over a port: sends bytes and returns the bodies of received frames, each wait with a deadline."""

from collections import deque
from collections.abc import Callable

import serial

from nudge.plumbing.errors import LinkError

from . import frame, patience
from .port import close_port


class Channel:
    """A port, and the frames received through it. Raises `LinkError` if the port fails.

    name: of the port, in error messages. clock: returns the present time in seconds.
    """

    def __init__(self, port: serial.SerialBase, name: str, clock: Callable[[], float]):
        #: Bytes received since the last `drain`.
        self.received = 0
        self.port, self.name, self._clock = port, name, clock
        self._splitter = frame.Splitter()
        self._inbox: deque[bytes] = deque()

    def close(self) -> None:
        """Close the port; no error if it is closed."""
        close_port(self.port)

    @property
    def damaged(self) -> int:
        """Number of received pieces that were not a valid frame."""
        return self._splitter.damaged

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self.port.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: writing failed: {error}") from None

    def read(self, deadline: float) -> bytes | None:
        """Return the body of the next frame, b"" if that frame is damaged, or None at the deadline.

        Bytes that have arrived are read even after the deadline, as the caller may have been slow.
        """
        while not self._inbox:
            left = deadline - self._clock()
            self._inbox.extend(self._splitter.feed(self._receive(max(left, 0.0))))
            if left <= 0 and not self._inbox:
                return None
        return self._inbox.popleft()

    def drain(self) -> None:
        """Discard all bytes received so far, within limits, as a device may never stop sending.

        It ends after `patience.DRAIN_SECONDS` or `patience.DRAIN_BYTES`.
        """
        deadline, most = self._clock() + patience.DRAIN_SECONDS, self.received + patience.DRAIN_BYTES
        while self._receive(0) and self._clock() < deadline and self.received < most:
            pass
        self.received = 0
        self._inbox.clear()
        self._splitter.clear()

    def _receive(self, timeout: float) -> bytes:
        """Wait up to `timeout` seconds for a byte; return all bytes that are there, at most 4,097."""
        try:
            self.port.timeout = timeout
            data = self.port.read(1)
            self.port.timeout = 0
            data += self.port.read(4096)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: reading failed: {error}") from None
        self.received += len(data)
        return data
