"""The host's end of the serial link: an engine that has every request executed exactly once, in order."""

import contextlib
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import serial

from golden.contract.protocol import ANSWER, ANSWER_HEADER, MAX_WINDOW, VERSION, Command, Identity, Status
from plumbing.errors import BoardError, IdentityError, LinkError

from . import frame, patience
from .channel import Channel
from .counters import Counters, Heard
from .flight import EXECUTED, Flight, Request
from .patience import Patience
from .port import BAUDS, open_port


class RefusedError(BoardError):
    """The board refused a request. status, payload: of its answer."""

    def __init__(self, message: str, status: Status, payload: bytes):
        super().__init__(message)
        self.status, self.payload = status, payload


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
        self.name, self.timeout, self.counters = name, timeout, Counters()
        #: Requests that the board can hold.
        self.window = 1
        self.channel = Channel(port, name, clock)
        self.retries, self.resends, self._bauds = retries, resends, bauds
        self._clock, self._draw, self._note = clock, draw, note
        self._patience = Patience(timeout)
        #: Sequence number of the next request.
        self._next = 0

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
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def now(self) -> float:
        """Seconds on the link's clock."""
        return self._clock()

    @property
    def length(self) -> int:
        """Bytes of payload that a frame should have at most where the host may choose: fewer on a bad line."""
        return self._patience.length

    @property
    def damaged(self) -> int:
        """Pieces received that were no frame."""
        return self.channel.damaged

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
                    self.channel.port.baudrate = self._bauds[rate % len(self._bauds)]
            if drained <= rate and drained < max(1, len(self._bauds)):
                self.channel.drain()
                drained += 1
            # A number drawn anew for each try: a late answer to an earlier one isn't mistaken for this one's.
            sequence = (self._next + 1 + self._draw(255)) % 256
            self._next = (sequence + 1) % 256
            self.counters.hellos += 1
            heard.tries += 1
            # The leading zero byte ends whatever the board may have received so far.
            self.channel.write(b"\0" + frame.request(sequence, Command.HELLO))
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
        heard.received = self.channel.received
        seconds = self._clock() - heard.since
        raise LinkError(f"{self.name}: no answer to HELLO in {heard.tries} tries, {seconds:.0f} s. {heard}")

    def _welcome(self, sequence: int, timeout: float, heard: Heard) -> Identity | None:
        """The answer to a HELLO; None after `timeout` seconds of silence, or soon after damage."""
        deadline, noisy, end = self._clock() + timeout, False, heard.since + patience.BACKLOG_SECONDS
        while (body := self.channel.read(min(deadline, end))) is not None:
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
        flight = Flight(self.name, self._patience, self.counters, self.retries, self.resends, self._clock)
        try:
            yield from self._stream(iter(requests), flight)
        except BoardError:
            raise
        except GeneratorExit:
            if flight.requests:
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def _stream(self, source: Iterator[tuple[Command, bytes] | None], flight: Flight) -> Iterator[bytes]:
        failure: RefusedError | None = None
        while True:
            if flight.trouble is None and failure is None:
                self._fill(flight, source)
            if not flight.requests:
                break
            body = self.channel.read(flight.deadline)
            if body is None:
                flight.silence()
            else:
                flight.hear(body)
            while (done := flight.take()) is not None:
                self.counters.requests += 1
                if done.status is not Status.OK and failure is None:
                    failure = self._refused(done)
                if failure is None:
                    yield done.payload
                if flight.requests:
                    flight.wait()
            if flight.stuck(silent=body is None):
                unanswered = flight.again()
                # The leading zero byte ends a frame whose own was lost.
                self.channel.write(b"\0")
                for request in unanswered:
                    self.channel.write(request.frame)
                flight.wait()
        if failure:
            raise failure

    def _fill(self, flight: Flight, source: Iterator[tuple[Command, bytes] | None]) -> None:
        """Send as many requests as the window allows and there are now."""
        while len(flight.requests) < self.window and (drawn := next(source, None)) is not None:
            command, payload = drawn
            sequence, self._next = self._next, (self._next + 1) % 256
            request = Request(sequence, command, frame.request(sequence, command, payload))
            flight.add(request)
            self.channel.write(request.frame)

    def _refused(self, done: Request) -> RefusedError:
        assert done.status is not None
        said = f"{self.name}: the board refused {done.command.name}: {done.status.name}"
        return RefusedError(said, done.status, done.payload)
