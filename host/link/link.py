"""The host's end of the serial link: the board executes every request exactly once, in order."""

import contextlib
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import serial

from nudge.golden.contract.protocol import (
    ANSWER,
    ANSWER_HEADER,
    MAX_WINDOW,
    VERSION,
    Command,
    Identity,
    Status,
    most_answered,
)
from nudge.plumbing.errors import BoardError, IdentityError, LinkError

from . import frame, patience
from .channel import Channel
from .counters import Counters, Heard
from .flight import EXECUTED, Flight, Sent
from .patience import Patience
from .port import BAUDS, open_port


class RefusedError(BoardError):
    """The board refused a request. status, payload: those of its answer."""

    def __init__(self, message: str, status: Status, payload: bytes):
        super().__init__(message)
        self.status, self.payload = status, payload


class Link:
    """A port with a board behind it. Not for use by several threads.

    Up to `window` requests are in flight, the number that the HELLO answer gives; their answers have at most
    `flight.ADAPTER_BYTES` together. After a refusal, a damaged answer or a missed deadline all unanswered
    requests are sent again, oldest first; the board repeats stored answers and executes nothing twice. After
    an exception other than `BoardError` it is unknown whether the last requests were executed; the link is
    then closed.

    name: of the port, in error messages. timeout: longest wait in seconds for an answer, counted from the
    answer before. retries: number of deadlines missed in a row, and resends: number of resends in a row for
    any reason, before it gives up. bauds: rates that HELLO tries in turn, if there are several. clock:
    returns the present time in seconds. draw: returns a random integer below its argument, for the sequence
    number of HELLO. note: called with a line for the user if HELLO takes long.
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
        #: Number of requests that the board can hold.
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def now(self) -> float:
        """Present time in seconds of the link's clock."""
        return self._clock()

    @property
    def length(self) -> int:
        """Largest payload in bytes of a frame whose length the host may choose: smaller on a bad line."""
        return self._patience.length

    @property
    def damaged(self) -> int:
        """Number of received pieces that were not a valid frame."""
        return self.channel.damaged

    def hello(self, *, timeout: float = 2.0, tries: int = 5) -> Identity:
        """Begin a session: drain the port, agree on a sequence number, set `window`, return the identity.

        A board executes in order, so it first executes an earlier host's requests. While it answers those,
        this waits, `patience.BACKLOG_SECONDS` at most.

        timeout: seconds of silence that end a try; after damage the next try follows soon. tries: number of
        silent tries in a row before it gives up. Raises `LinkError` without an answer, `IdentityError` for a
        board of another version, or no nudge board.
        """
        heard = Heard(self._clock())
        silent = noisy = rate = drained = 0  # silent, noisy: tries in a row
        while (
            silent < tries
            and noisy <= self.resends
            and self._clock() < heard.since + patience.BACKLOG_SECONDS
        ):
            if len(self._bauds) > 1:
                # an adapter may not support a rate; the one before then stays
                with contextlib.suppress(serial.SerialException, OSError, ValueError):
                    self.channel.port.baudrate = self._bauds[rate % len(self._bauds)]
            if drained <= rate and drained < max(1, len(self._bauds)):
                self.channel.drain()
                drained += 1
            # Each try has its own random number, so a late answer to an earlier try isn't taken for its own.
            sequence = (self._next + 1 + self._draw(255)) % 256
            self._next = (sequence + 1) % 256
            self.counters.hellos += 1
            heard.tries += 1
            # The leading zero byte ends an incomplete frame in the board.
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
        """Return the answer to a HELLO; None after `timeout` seconds of silence, or soon after damage."""
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
                    self._note(
                        f"{self.name}: the board works off an earlier session's requests; waiting for it"
                    )
                continue
            if body[0] != VERSION or body[3] == Status.BAD_VERSION:
                raise IdentityError(
                    f"{self.name}: the board speaks version {body[0]} of the link, this host {VERSION}"
                )
            try:
                identity = Identity.decode(body[ANSWER_HEADER:])
                if not identity.preset.isprintable():
                    raise ValueError(f"its preset is {identity.preset!r}")
                return identity
            except ValueError as error:
                raise IdentityError(f"{self.name}: not a nudge board ({error})") from None
        return None

    def call(self, command: Command, payload: bytes = b"") -> bytes:
        """Send one request and return the payload of its answer."""
        return self.exchange([(command, payload)])[0]

    def exchange(self, requests: Iterable[tuple[Command, bytes]]) -> list[bytes]:
        """Send requests in order and return the payloads of their answers. Raises the errors of `stream`."""
        return list(self.stream(requests))

    def stream(self, requests: Iterable[tuple[Command, bytes] | None]) -> Generator[bytes, None, None]:
        """Send requests in order, up to `window` in flight, and yield each answer's payload as it arrives.

        The caller must take all payloads: leaving with requests in flight closes the link. requests: drawn as
        far ahead as the window allows; a None among them stops the drawing until the next answer, for which a
        request must be in flight.

        Raises `RefusedError` if a request was executed but not answered OK: those in flight behind it were
        executed as well, later ones were not sent. Raises `LinkError` if the board stops answering.
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
                # The leading zero byte ends a frame that lost its own zero byte.
                self.channel.write(b"\0")
                for request in unanswered:
                    self.channel.write(request.frame)
                flight.wait()
        if failure:
            raise failure

    def _fill(self, flight: Flight, source: Iterator[tuple[Command, bytes] | None]) -> None:
        """Draw and send requests until the window or the adapter's buffer is full, or None or the end is
        drawn.

        A request whose answer may not fit in the buffer is kept, and sent first later.
        """
        while len(flight.requests) < self.window and (drawn := flight.kept or next(source, None)) is not None:
            command, payload = drawn
            answer = frame.answer_bytes(most_answered(command, payload))
            flight.kept = None if flight.room(answer) else drawn
            if flight.kept:
                break
            sequence, self._next = self._next, (self._next + 1) % 256
            request = Sent(sequence, command, frame.request(sequence, command, payload), answer)
            flight.add(request)
            self.channel.write(request.frame)

    def _refused(self, done: Sent) -> RefusedError:
        assert done.status is not None
        said = f"{self.name}: the board refused {done.command.name}: {done.status.name}"
        return RefusedError(said, done.status, done.payload)
