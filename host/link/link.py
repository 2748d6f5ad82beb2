"""The host's end of the serial link: an engine that has every request executed exactly once, in order."""

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import serial

from golden.contract.errors import BoardError, IdentityError, LinkError
from golden.contract.protocol import ANSWER, ANSWER_HEADER, MAX_WINDOW, VERSION, Command, Identity, Status

from . import frame, patience
from .counters import Counters, Heard
from .port import BAUDS, close_port, open_port

#: Statuses of a request that was executed: its answer is final.
EXECUTED = (Status.OK, Status.BAD_ORDER, Status.BAD_RANGE, Status.BAD_IMAGE, Status.NOT_STORED)


class RefusedError(BoardError):
    """The board refused a request. status, payload: of its answer."""

    def __init__(self, message: str, status: Status, payload: bytes):
        super().__init__(message)
        self.status, self.payload = status, payload


@dataclass
class _Request:
    sequence: int
    command: Command
    frame: bytes
    status: Status | None = None
    payload: bytes = field(default=b"")
    again: bool = False  #: it was sent more than once

    def __str__(self) -> str:
        return f"{self.command.name} (sequence {self.sequence})"


class Link:
    """A port with a board behind it. Not for use by several threads.

    As many requests are in flight as the board says that it can hold. A refusal, a damaged answer or a missed deadline makes
    it send again all that is unanswered, from the oldest; the board repeats answers without executing twice. After an
    exception other than `BoardError` it is unknown whether the last requests were executed; then the link is closed.

    name: for messages. timeout: longest wait in seconds for an answer, counted from the answer before. retries: how often in
    a row a deadline is missed, resends: how often in a row requests are sent again for any reason, before giving up.
    bauds: rates that HELLO tries in turn, if there are several. clock: seconds that pass. draw: sequence numbers at HELLO.
    note: takes a line for the user when HELLO takes long.
    """

    def __init__(
        self,
        port: serial.SerialBase,
        name: str,
        *,
        timeout: float = 10.0,
        retries: int = 4,
        resends: int = 40,
        bauds: Sequence[int] = (),
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[int], int] = secrets.randbelow,
        note: Callable[[str], None] = lambda line: None,
    ):
        self.name, self.timeout, self.retries, self.resends, self._bauds = name, timeout, retries, resends, bauds
        self.counters = Counters()
        self.window = 1
        self._port, self._clock, self._draw, self._note = port, clock, draw, note
        self._splitter = frame.Splitter()
        self._inbox: deque[bytes] = deque()
        self._next = 0
        self._received = 0
        self._longest: dict[Command, float] = {}

    @classmethod
    def open(
        cls,
        url: str,
        *,
        baud: int | None = None,
        timeout: float = 10.0,
        retries: int = 4,
        note: Callable[[str], None] = lambda line: None,
    ) -> "Link":
        """Open a port by device path or pyserial URL. baud: None tries `BAUDS`."""
        bauds = BAUDS if baud is None else (baud,)
        port = open_port(url, bauds[0])
        return cls(port, url, timeout=timeout, retries=retries, bauds=bauds, note=note)

    def close(self) -> None:
        """Close the port; no error if it is closed."""
        close_port(self._port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def now(self) -> float:
        """Seconds on the link's clock."""
        return self._clock()

    @property
    def damaged(self) -> int:
        """Pieces received that were no frame."""
        return self._splitter.damaged

    def hello(self, *, timeout: float = 2.0, tries: int = 5) -> Identity:
        """Begin: drain the port, agree on a sequence number, and learn what board it is and how much it can hold.

        A board executes in order, so it first works off what an earlier host sent: while answers to
        that come, this waits, up to `patience.BACKLOG_SECONDS`.

        timeout: seconds of silence that end a try; a damaged one is repeated at once. tries: how many
        may pass in silence, in a row. Raises `LinkError` if nothing answers, `IdentityError` if it is
        something else.
        """
        heard = Heard(self._clock())
        silent = noisy = rate = drained = 0  # silent, noisy: tries in a row
        while silent < tries and noisy <= self.resends and self._clock() < heard.since + patience.BACKLOG_SECONDS:
            if len(self._bauds) > 1:
                # an adapter may lack a rate; then the one before is tried again
                with contextlib.suppress(serial.SerialException, OSError, ValueError):
                    self._port.baudrate = self._bauds[rate % len(self._bauds)]
            if drained <= rate and drained < max(1, len(self._bauds)):
                self._drain()
                drained += 1
            # A number drawn anew for each try: a late answer to an earlier one isn't mistaken for this one's.
            sequence = (self._next + 1 + self._draw(255)) % 256
            self._next = (sequence + 1) % 256
            self.counters.hellos += 1
            heard.tries += 1
            # The leading zero byte ends whatever the board may have received so far.
            self._write(b"\0" + frame.request(sequence, Command.HELLO))
            answers, damage = heard.answers, heard.damage
            identity = self._welcome(sequence, timeout, heard)
            if identity is not None:
                self.window = max(1, min(identity.window, MAX_WINDOW))
                return identity
            if heard.answers > answers:
                # a board is there, at this rate, but slow
                silent, noisy, timeout = 0, 0, min(2 * timeout, self.timeout)
            else:
                silent += heard.damage == damage
                noisy += heard.damage > damage
                rate += 1
        heard.received = self._received
        seconds = self._clock() - heard.since
        raise LinkError(f"{self.name}: no answer to HELLO in {heard.tries} tries, {seconds:.0f} s. {heard}")

    def _welcome(self, sequence: int, timeout: float, heard: Heard) -> Identity | None:
        """The answer to a HELLO; None after `timeout` seconds of silence, or soon after damage."""
        deadline, noisy, end = self._clock() + timeout, False, heard.since + patience.BACKLOG_SECONDS
        while (body := self._read(min(deadline, end))) is not None:
            if len(body) < ANSWER_HEADER or (body[3] not in EXECUTED and body[3] != Status.BAD_VERSION):
                self.counters.refused += bool(body)
                heard.refused += bool(body)
                heard.damaged += not body
                deadline, noisy = min(deadline, self._clock() + patience.QUIET), True
                continue
            if body[1:3] != bytes((sequence, Command.HELLO | ANSWER)):
                self.counters.unexpected += 1
                heard.answers += 1
                deadline = self._clock() + (patience.QUIET if noisy else timeout)
                if not heard.told and self._clock() > heard.since + patience.NOTE_SECONDS:
                    heard.told = True
                    self._note(f"{self.name}: the board works off an earlier session's requests; waiting for it")
                continue
            if body[0] != VERSION or body[3] == Status.BAD_VERSION:
                raise IdentityError(f"{self.name}: the board speaks version {body[0]} of the link, this host {VERSION}")
            try:
                identity = Identity.decode(body[ANSWER_HEADER:])
                if not identity.preset.isprintable():
                    raise ValueError(f"its preset is {identity.preset!r}")
                return identity
            except ValueError as error:
                raise IdentityError(f"{self.name}: not a nudge board ({error})") from None
        return None

    def call(self, command: Command, payload: bytes = b"") -> bytes:
        """One request; its answer's payload."""
        return self.exchange([(command, payload)])[0]

    def exchange(self, requests: Iterable[tuple[Command, bytes]]) -> list[bytes]:
        """Requests in order, `window` in flight; the payloads of their answers. Raises what `stream` raises."""
        return list(self.stream(requests))

    def stream(self, requests: Iterable[tuple[Command, bytes] | None]) -> Generator[bytes, None, None]:
        """The same, each payload as soon as it is there, while further requests are sent. Take all of them.

        requests: drawn as far ahead as the window allows. None among them: nothing more before another answer is in, of a
        request that is in flight.

        `RefusedError` if one was executed but not answered OK: requests after it that were in flight were executed as well,
        later ones not sent. `LinkError` if the board stops answering.
        """
        flight: deque[_Request] = deque()
        try:
            yield from self._stream(iter(requests), flight)
        except BoardError:
            raise
        except GeneratorExit:
            if flight:
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def _stream(self, source: Iterator[tuple[Command, bytes] | None], flight: deque[_Request]) -> Iterator[bytes]:
        failure: RefusedError | None = None
        trouble: str | None = None
        attempts = missed = lost = 0  # in a row: resends, missed deadlines, answers that say the board doesn't know us
        awaited = 0  # answers to what has been sent
        since = deadline = 0.0
        while True:
            while trouble is None and failure is None and len(flight) < self.window and (request := self._make(source)):
                if not flight:
                    since = self._clock()
                    deadline = since + self._patience(request)
                flight.append(request)
                self._write(request.frame)
                awaited += 1
            if not flight:
                break
            body = self._read(deadline)
            if body is None and trouble is None:
                missed += 1
                self.counters.timeouts += 1
                reason = f"no answer within {deadline - since:.3g} s"
            elif body is not None:
                awaited = max(awaited - 1, 0)
                if len(body) < ANSWER_HEADER:
                    trouble = "the last answer was damaged"
                elif body[3] not in EXECUTED:
                    self.counters.refused += 1
                    trouble = f"the last answer was {_status_name(body[3])}"
                    # In order as all else is, this can't be said of the oldest unless the board has forgotten the HELLO.
                    unknown = body[1] == flight[0].sequence and body[3] == Status.BAD_SEQUENCE and flight[0].again
                    lost += unknown
                else:
                    self._assign(body, flight, since)
                if trouble:
                    longest = self._longest.get(flight[0].command, 0.0)
                    # each answer puts it off, so that what a slow board still works off isn't sent once more
                    deadline = min(since + self.timeout, self._clock() + patience.quiet(attempts, awaited, longest))
                    reason = trouble
            while flight and (status := flight[0].status) is not None:
                done = flight.popleft()
                self.counters.requests += 1
                if status is not Status.OK and failure is None:
                    said = f"{self.name}: the board refused {done.command.name}: {status.name}"
                    failure = RefusedError(said, status, done.payload)
                attempts = missed = lost = 0
                if failure is None:
                    yield done.payload
                since = self._clock()
                if flight and not trouble:
                    deadline = since + self._patience(flight[0])
            if not flight:
                trouble = None
            elif body is None or (trouble and awaited == 0 and attempts < patience.PROMPT):
                if lost > 1:
                    raise LinkError(f"{self.name}: the board was reset: it doesn't know {flight[0]}")
                if missed > self.retries or attempts == self.resends:
                    raise LinkError(f"{self.name}: gave up on {flight[0]} after {attempts + 1} tries: {reason}")
                awaited = self._send_again(flight)
                attempts, trouble = attempts + 1, None
                since = self._clock()
                deadline = since + min(self._patience(flight[0]) * 2**missed, self.timeout)
        if failure:
            raise failure

    def _patience(self, request: _Request) -> float:
        """Seconds in which the answer must come, if all before it have."""
        longest = self._longest.get(request.command)
        return self.timeout if longest is None else min(self.timeout, max(patience.SOONEST, patience.LATE * longest))

    def _assign(self, body: bytes, flight: Iterable[_Request], since: float) -> None:
        """Give a final answer to the request that waits for it."""
        for request in flight:
            if request.status is None and body[:3] == bytes((VERSION, request.sequence, request.command | ANSWER)):
                request.status, request.payload = Status(body[3]), body[ANSWER_HEADER:]
                if not request.again:
                    self._longest[request.command] = max(self._longest.get(request.command, 0.0), self._clock() - since)
                return
        self.counters.unexpected += 1

    def _send_again(self, flight: deque[_Request]) -> int:
        """Send again what is unanswered; how many frames."""
        # The leading zero byte ends a frame whose own was lost.
        self._write(b"\0")
        unanswered = [request for request in flight if request.status is None]
        for request in unanswered:
            self.counters.resent += 1
            request.again = True
            self._write(request.frame)
        return len(unanswered)

    def _make(self, source: Iterator[tuple[Command, bytes] | None]) -> _Request | None:
        """The next request with its number, if there is one now."""
        if (drawn := next(source, None)) is None:
            return None
        command, payload = drawn
        sequence, self._next = self._next, (self._next + 1) % 256
        return _Request(sequence, command, frame.request(sequence, command, payload))

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"{self.name}: writing failed: {error}") from None

    def _read(self, deadline: float) -> bytes | None:
        """The body of the next frame, nothing (b"") if it is damaged; None at the deadline.

        What has come is read even then: whoever takes answers may have been long about it.
        """
        while not self._inbox:
            left = deadline - self._clock()
            self._inbox.extend(self._splitter.feed(self._receive(max(left, 0.0))))
            if left <= 0 and not self._inbox:
                return None
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
        """Forget what came before; not for longer than a device that never stops talking deserves."""
        deadline, most = self._clock() + patience.DRAIN_SECONDS, self._received + patience.DRAIN_BYTES
        while self._receive(0) and self._clock() < deadline and self._received < most:
            pass
        self._received = 0
        self._inbox.clear()
        self._splitter.clear()


def _status_name(code: int) -> str:
    return Status(code).name if code in {s.value for s in Status} else f"status {code}"
