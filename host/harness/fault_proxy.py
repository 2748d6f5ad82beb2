"""A line between a host and a board at a TCP port, with faults and delays: the host connects to the proxy's `url` instead."""

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from plumbing.errors import LinkError

from .faults import Faults

#: Seconds between two looks at whether it is time to end.
TICK = 0.05

#: Seconds after which an end that takes nothing is hung up on; a virtual board on a busy machine takes its time.
PATIENCE = 30.0

CHUNK = 1 << 14


@dataclass
class Direction:
    """One way of the line. delay: seconds that each byte is under way. waiting: when to deliver, and what."""

    faults: Faults | None
    delay: float
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)

    def push(self, data: bytes, now: float) -> None:
        """Bytes have come in."""
        data = self.faults.carry(data) if self.faults else data
        if data:
            self.waiting.append((now + self.delay, data))

    def due(self, now: float) -> bytes:
        """What is to go out now."""
        out = bytearray()
        while self.waiting and self.waiting[0][0] <= now:
            out += self.waiting.popleft()[1]
        return bytes(out)


class FaultProxy:
    """Serves one host at a time on the loopback interface while the context lasts.

    target: `socket://HOST:PORT` of the board. up, down: faults to the board and from it; they go on when a host connects anew.
    delay: seconds added to each round trip, half of it each way. `stall` and `disconnect` may be called at any time.
    """

    def __init__(self, target: str, up: Faults | None = None, down: Faults | None = None, *, delay: float = 0.0):
        host, _, port = check_target(target).removeprefix("socket://").rpartition(":")
        self._target = (host, int(port))
        self._faults, self._delay = (up, down), delay
        self._ending = threading.Event()
        self._cut = threading.Event()
        self._still = 0.0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK)
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()
        self._listener.close()

    def stall(self, seconds: float) -> None:
        """Nothing gets through for a while; it isn't lost."""
        self._still = time.monotonic() + seconds

    def disconnect(self) -> None:
        """Hang up on the host, if there is one; it may connect again."""
        self._cut.set()

    def _serve(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._cut.clear()
                client.settimeout(PATIENCE)
                with client, contextlib.suppress(OSError), socket.create_connection(self._target, timeout=PATIENCE) as board:
                    self._carry(client, board)

    def _carry(self, client: socket.socket, board: socket.socket) -> None:
        lines = [Direction(faults, self._delay / 2) for faults in self._faults]
        ends = ((client, board, lines[0]), (board, client, lines[1]))
        with selectors.DefaultSelector() as selector:
            for source, sink, line in ends:
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(source, selectors.EVENT_READ, (sink, line))
            while not self._ending.is_set() and not self._cut.is_set():
                now = time.monotonic()
                if now < self._still:
                    time.sleep(min(TICK, self._still - now))
                    continue
                for _, sink, line in ends:
                    if data := line.due(now):
                        sink.sendall(data)
                coming = [line.waiting[0][0] - now for line in lines if line.waiting]
                for key, _ in selector.select(max(0.0, min([TICK, *coming]))):
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(CHUNK)
                    if not data:
                        return
                    key.data[1].push(data, time.monotonic())


def check_target(url: str) -> str:
    """The address, if a proxy can stand in front of it."""
    host, _, port = url.removeprefix("socket://").rpartition(":")
    if not (url.startswith("socket://") and host and port.isdigit()):
        raise LinkError(f"{url}: faults need a board at socket://HOST:PORT")
    return url
