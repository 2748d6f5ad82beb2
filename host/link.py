"""The host's end of the serial link: a port, and an engine that has every request executed exactly once, in order."""

import contextlib
import errno
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import serial

from hw.protocol import ANSWER, ANSWER_HEADER, VERSION, WINDOW, Command, Identity, Status

from . import frame
from .errors import BoardError, IdentityError, LinkError

#: Rates that boards have; HELLO tries them in turn, unless the caller says which. Pseudo-terminals and sockets ignore it.
BAUDS = (1_000_000, 3_000_000)

#: Statuses of a request that was executed: its answer is final.
EXECUTED = (Status.OK, Status.BAD_ORDER, Status.BAD_RANGE)

#: Seconds without an answer after a refusal or a damaged answer until the requests in flight are sent again.
QUIET = 0.1


def open_port(url: str, baud: int = BAUDS[0]) -> serial.SerialBase:
    """Open a device path or pyserial URL for this process alone; `LinkError` says why it can't be."""
    try:
        port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=5, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        reasons = {
            errno.ENOENT: "no such port",
            errno.EAGAIN: "port busy: another program has it open",
            errno.EBUSY: "port busy: another program has it open",
            errno.EACCES: "permission denied: are you in the group that owns the port?",
        }
        raise LinkError(f"{url}: {reasons.get(getattr(error, 'errno', None) or 0, str(error))}") from None
    if url.startswith("socket://"):
        # small requests must not wait for acknowledgements of earlier ones
        with socket.socket(fileno=os.dup(port.fileno())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return port


@dataclass
class Counters:
    """What the link had to do so far. Without disturbances all but `requests` stay 0, and `hellos` 1."""

    requests: int = 0  #: requests that were answered finally
    hellos: int = 0  #: HELLOs sent
    resent: int = 0  #: frames sent again
    timeouts: int = 0  #: deadlines missed
    refused: int = 0  #: answers that said the frame before was damaged or out of sequence
    unexpected: int = 0  #: good answers that nothing waited for, such as repetitions


@dataclass
class _Request:
    sequence: int
    command: Command
    frame: bytes
    status: Status | None = None
    payload: bytes = field(default=b"")


class Link:
    """A port with a board behind it. Not for use by several threads.

    Up to `WINDOW` requests are in flight. A refusal, a damaged answer or a missed deadline makes it send again all that is
    unanswered, from the oldest; the board repeats answers without executing twice. After an exception other than
    `BoardError` it is unknown whether the last requests were executed; then the link is closed.

    name: for messages. timeout: seconds for each answer, counted from the answer before. retries: how often the oldest
    request is sent again before giving up. bauds: rates that HELLO tries in turn, if there are several.
    """

    def __init__(
        self, port: serial.SerialBase, name: str, *, timeout: float = 10.0, retries: int = 4, bauds: Sequence[int] = ()
    ):
        self._bauds = bauds
        self.name, self.timeout, self.retries = name, timeout, retries
        self.counters = Counters()
        self._port = port
        self._splitter = frame.Splitter()
        self._inbox: deque[bytes] = deque()
        self._next = 0
        self._received = 0

    @classmethod
    def open(cls, url: str, *, baud: int | None = None, timeout: float = 10.0, retries: int = 4) -> "Link":
        """Open a port by device path or pyserial URL. baud: None tries `BAUDS`."""
        bauds = BAUDS if baud is None else (baud,)
        return cls(open_port(url, bauds[0]), url, timeout=timeout, retries=retries, bauds=bauds)

    def close(self) -> None:
        """Close the port; no error if it is closed."""
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def damaged(self) -> int:
        """Pieces received that were no frame."""
        return self._splitter.damaged

    def hello(self, *, timeout: float = 2.0, tries: int = 5) -> Identity:
        """Begin: drain the port, agree on a sequence number, and learn what board it is.

        Raises `LinkError` if nothing answers, `IdentityError` if it is something else.
        """
        for attempt in range(tries):
            if len(self._bauds) > 1:
                # an adapter may lack a rate; then the one before is tried again
                with contextlib.suppress(serial.SerialException, OSError, ValueError):
                    self._port.baudrate = self._bauds[attempt % len(self._bauds)]
            if attempt < max(1, len(self._bauds)):
                self._drain()
            # A number drawn anew for each try: a late answer to an earlier one isn't mistaken for this one's.
            sequence = (self._next + 1 + secrets.randbelow(255)) % 256
            self._next = (sequence + 1) % 256
            self.counters.hellos += 1
            # The leading zero byte ends whatever the board may have received so far.
            self._write(b"\0" + frame.encode(bytes((VERSION, sequence, Command.HELLO))))
            deadline = time.monotonic() + timeout
            while (body := self._read(deadline)) is not None:
                if not body:
                    continue
                if len(body) < ANSWER_HEADER or body[2] != Command.HELLO | ANSWER or body[1] != sequence:
                    self.counters.unexpected += 1
                    continue
                if body[0] != VERSION or body[3] == Status.BAD_VERSION:
                    raise IdentityError(f"{self.name}: the board speaks version {body[0]} of the link, this host {VERSION}")
                if body[3] != Status.OK:
                    self.counters.refused += 1
                    break
                try:
                    return Identity.decode(body[ANSWER_HEADER:])
                except ValueError as error:
                    raise IdentityError(f"{self.name}: not a nudge board ({error})") from None
        heard = f"{self._received} bytes came, but no answer: another program, or another baud rate?" if self._received else ""
        raise LinkError(f"{self.name}: no answer to HELLO in {tries} tries of {timeout:g} s. {heard or 'Nothing came at all.'}")

    def call(self, command: Command, payload: bytes = b"") -> bytes:
        """One request; its answer's payload."""
        return self.exchange([(command, payload)])[0]

    def exchange(self, requests: Iterable[tuple[Command, bytes]]) -> list[bytes]:
        """Requests in order, `WINDOW` in flight; the payloads of their answers.

        `BoardError` if one was answered BAD_ORDER or BAD_RANGE: requests after it that were in flight were executed as well,
        later ones not sent. `LinkError` if the board stops answering.
        """
        try:
            return self._exchange(iter(requests))
        except BoardError:
            raise
        except BaseException:
            self.close()
            raise

    def _exchange(self, source: Iterator[tuple[Command, bytes]]) -> list[bytes]:
        flight: deque[_Request] = deque()
        payloads: list[bytes] = []
        failure: str | None = None
        trouble: str | None = None
        attempts = 0
        deadline = 0.0
        while True:
            while trouble is None and failure is None and len(flight) < WINDOW and (request := self._make(source)):
                if not flight:
                    deadline = time.monotonic() + self.timeout
                flight.append(request)
                self._write(request.frame)
            if not flight:
                break
            body = self._read(deadline)
            if body is None:
                self._send_again(flight, attempts, trouble)
                attempts, trouble = attempts + 1, None
                deadline = time.monotonic() + self.timeout
                continue
            if len(body) < ANSWER_HEADER:
                trouble = "the last answer was damaged"
            elif body[3] not in EXECUTED:
                self.counters.refused += 1
                trouble = f"the last answer was {_status_name(body[3])}"
            else:
                self._assign(body, flight)
            if trouble:
                deadline = min(deadline, time.monotonic() + QUIET)
            while flight and (status := flight[0].status) is not None:
                done = flight.popleft()
                self.counters.requests += 1
                payloads.append(done.payload)
                if status is not Status.OK and failure is None:
                    failure = f"{self.name}: the board refused {done.command.name}: {status.name}"
                attempts = 0
                if not trouble:
                    deadline = time.monotonic() + self.timeout
            if not flight:
                trouble = None
        if failure:
            raise BoardError(failure)
        return payloads

    def _assign(self, body: bytes, flight: Iterable[_Request]) -> None:
        """Give a final answer to the request that waits for it."""
        for request in flight:
            if request.status is None and body[:3] == bytes((VERSION, request.sequence, request.command | ANSWER)):
                request.status, request.payload = Status(body[3]), body[ANSWER_HEADER:]
                return
        self.counters.unexpected += 1

    def _send_again(self, flight: deque[_Request], attempts: int, trouble: str | None) -> None:
        """Send again what is unanswered, unless that has been tried often enough. trouble: None if the deadline was missed."""
        if trouble is None:
            self.counters.timeouts += 1
            trouble = f"no answer within {self.timeout:g} s"
        if attempts == self.retries:
            what = f"{flight[0].command.name} (sequence {flight[0].sequence})"
            raise LinkError(f"{self.name}: gave up on {what} after {attempts + 1} tries: {trouble}")
        for request in flight:
            if request.status is None:
                self.counters.resent += 1
                self._write(request.frame)

    def _make(self, source: Iterator[tuple[Command, bytes]]) -> _Request | None:
        """The next request with its number, if there is one."""
        for command, payload in source:
            sequence, self._next = self._next, (self._next + 1) % 256
            return _Request(sequence, command, frame.encode(bytes((VERSION, sequence, command)) + payload))
        return None

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: writing failed: {error}") from None

    def _read(self, deadline: float) -> bytes | None:
        """The body of the next good frame; nothing (b"") if a damaged one came; None at the deadline."""
        while not self._inbox:
            left, damaged = deadline - time.monotonic(), self.damaged
            if left <= 0:
                return None
            self._inbox.extend(self._splitter.feed(self._receive(left)))
            if self.damaged != damaged and not self._inbox:
                return b""
        return self._inbox.popleft()

    def _receive(self, timeout: float) -> bytes:
        """All bytes that are there, after waiting for the first."""
        try:
            self._port.timeout = timeout
            data = self._port.read(1)
            self._port.timeout = 0
            data += self._port.read(4096)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: reading failed: {error}") from None
        self._received += len(data)
        return data

    def _drain(self) -> None:
        try:
            self._port.reset_input_buffer()
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: reading failed: {error}") from None
        self._inbox.clear()


def _status_name(code: int) -> str:
    return Status(code).name if code in {s.value for s in Status} else f"status {code}"
