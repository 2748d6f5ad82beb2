"""Frames over a port: bytes out, the bodies of frames in, each wait with a deadline."""

from collections import deque
from collections.abc import Callable

import serial

from plumbing.errors import LinkError

from . import frame, patience
from .port import close_port


class Channel:
    """A port that frames come from. Raises `LinkError` where the port fails. name: for messages. clock: seconds that pass."""

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
        """Pieces received that were no frame."""
        return self._splitter.damaged

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self.port.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: writing failed: {error}") from None

    def read(self, deadline: float) -> bytes | None:
        """The body of the next frame, nothing (b"") if it is damaged; None at the deadline.

        What has come is read even then: whoever takes answers may have been long about it.
        """
        while not self._inbox:
            left = deadline - self._clock()
            self._inbox.extend(self._splitter.feed(self._receive(max(left, 0.0))))
            if left <= 0 and not self._inbox:
                return None
        return self._inbox.popleft()

    def drain(self) -> None:
        """Forget what came before; not for longer than a device that never stops talking deserves."""
        deadline, most = self._clock() + patience.DRAIN_SECONDS, self.received + patience.DRAIN_BYTES
        while self._receive(0) and self._clock() < deadline and self.received < most:
            pass
        self.received = 0
        self._inbox.clear()
        self._splitter.clear()

    def _receive(self, timeout: float) -> bytes:
        """All bytes that are there, after waiting for the first."""
        try:
            self.port.timeout = timeout
            data = self.port.read(1)
            self.port.timeout = 0
            data += self.port.read(4096)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: reading failed: {error}") from None
        self.received += len(data)
        return data
