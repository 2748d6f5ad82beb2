"""Requests in flight: their answers, the deadline of the oldest, and when to send all of them again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nudge.golden.contract.protocol import ANSWER, ANSWER_HEADER, VERSION, Command, Status
from nudge.plumbing.errors import LinkError

from . import patience
from .counters import Counters
from .patience import Patience

#: Statuses of a request that was executed: its answer is final.
EXECUTED = (Status.OK, Status.BAD_ORDER, Status.BAD_RANGE, Status.BAD_IMAGE, Status.NOT_STORED)

#: Bytes that an adapter keeps until the host reads them (512 in an FT231X, FTDI FT_000565). It has
#: no flow control here, so a byte more would be lost.
ADAPTER_BYTES = 512


@dataclass
class Sent:
    """A request with its sequence number and its answer; `status` is None until it is answered.

    answer: largest size in bytes of its answer's frame.
    """

    sequence: int
    command: Command
    frame: bytes
    answer: int
    status: Status | None = None
    payload: bytes = b""
    #: It was sent more than once.
    again: bool = False

    def __str__(self) -> str:
        return f"{self.command.name} (sequence {self.sequence})"


class Flight:
    """Requests sent and not yet taken by the caller, oldest first. It decides on resends, and sends nothing.

    name: the port's name in error messages. patience: the link's, which learns from the answers. counters:
    the link's. retries: number of deadlines that may be missed in a row. resends: number of times in a row
    that all may be sent again. clock: returns the present time in seconds.
    """

    def __init__(
        self,
        name: str,
        patience: Patience,
        counters: Counters,
        retries: int,
        resends: int,
        clock: Callable[[], float],
    ):
        self.requests: deque[Sent] = deque()
        #: The next request, drawn but not sent, because there was no room for its answer.
        self.kept: tuple[Command, bytes] | None = None
        #: Reason to send all unanswered requests again, once no further answer is expected; None without
        #: trouble.
        self.trouble: str | None = None
        #: Time at which the wait for the next answer ends, in seconds of the clock.
        self.deadline = 0.0
        self._name, self._patience, self._counters, self._clock = name, patience, counters, clock
        self._retries, self._resends = retries, resends
        #: Counts in a row: resends, missed deadlines, answers that show that the board has forgotten the
        #: HELLO.
        self._attempts = self._missed = self._lost = 0
        #: Answers still expected, valid or not: one for each frame sent.
        self._awaited = 0
        #: Time at which the current wait began.
        self._since = 0.0
        #: Reason for the last resend, for the error message.
        self._reason = ""

    def room(self, answer: int) -> bool:
        """Return whether the adapter can keep an answer of so many bytes beside all that are expected."""
        expected = sum(request.answer for request in self.requests if request.status is None)
        return not expected or expected + answer <= ADAPTER_BYTES

    def add(self, request: Sent) -> None:
        """Append a request that is being sent; if it is the only one, start the wait for it."""
        self.requests.append(request)
        self._awaited += 1
        if len(self.requests) == 1:
            self.wait()

    def wait(self) -> None:
        """Start the wait for the oldest request: its usual time * 2^(missed deadlines), at most `timeout`.

        While `trouble` is set, the deadline stays as `hear` set it.
        """
        self._since = self._clock()
        if self.trouble is None:
            usual = self._patience.of(self.requests[0].command)
            self.deadline = self._since + min(usual * 2**self._missed, self._patience.timeout)

    def silence(self) -> None:
        """Record a missed deadline, unless the requests are to be sent again anyway."""
        if self.trouble is None:
            self._missed += 1
            self._patience.damaged += 1
            self._counters.timeouts += 1
            self._reason = f"no answer within {self.deadline - self._since:.3g} s"

    def hear(self, body: bytes) -> None:
        """Process the body of an answer; an empty body is a damaged answer."""
        self._awaited = max(self._awaited - 1, 0)
        oldest = self.requests[0]
        if len(body) < ANSWER_HEADER:
            self._damaged("an answer was damaged")
        elif body[3] in EXECUTED:
            self._assign(body)
        else:
            self._counters.refused += 1
            self._damaged(f"an answer was {status_name(body[3])}")
            # Requests arrive in order, so the oldest can be out of sequence only if the board has forgotten
            # the HELLO.
            self._lost += body[1] == oldest.sequence and body[3] == Status.BAD_SEQUENCE and oldest.again
        if self.trouble is not None:
            self._reason = self.trouble
            # each answer postpones the resend: a slow board must not receive again what it is still executing
            quiet = patience.quiet(self._attempts, self._awaited, self._patience.longest(oldest.command))
            self.deadline = min(self._since + self._patience.timeout, self._clock() + quiet)

    def _damaged(self, trouble: str) -> None:
        """Record trouble, counted once a resend: the first causes the BAD_SEQUENCE answers behind it."""
        self._patience.damaged += self.trouble is None
        self.trouble = self.trouble or trouble

    def _assign(self, body: bytes) -> None:
        """Store a final answer in the request that it belongs to; without one, count it as unexpected."""
        for request in self.requests:
            if request.status is None and body[:3] == bytes(
                (VERSION, request.sequence, request.command | ANSWER)
            ):
                request.status, request.payload = Status(body[3]), body[ANSWER_HEADER:]
                self._patience.carried += len(request.frame) + len(body)
                if not request.again:
                    self._patience.learn(request.command, self._clock() - self._since)
                return
        self._counters.unexpected += 1

    def take(self) -> Sent | None:
        """Remove and return the oldest request if it is answered. The caller calls `wait` afterwards."""
        if not self.requests or self.requests[0].status is None:
            return None
        self._attempts = self._missed = self._lost = 0
        done = self.requests.popleft()
        if not self.requests:
            self.trouble = None
        return done

    def stuck(self, *, silent: bool) -> bool:
        """Return True if all unanswered requests must be sent again now. silent: the deadline has passed."""
        prompt = self.trouble is not None and self._awaited == 0 and self._attempts < patience.PROMPT
        return bool(self.requests) and (silent or prompt)

    def again(self) -> list[Sent]:
        """Return all unanswered requests, oldest first, to be sent again.

        Raises `LinkError` after too many missed deadlines or resends, or if the board was reset.
        """
        oldest = self.requests[0]
        if self._lost > 1:
            raise LinkError(f"{self._name}: the board was reset: it doesn't know {oldest}")
        if self._missed > self._retries or self._attempts == self._resends:
            size, between = len(oldest.frame), self._patience.between
            line = (
                f"; its frame has {size} bytes, and {between} came through between two damages"
                if self.trouble
                else ""
            )
            raise LinkError(
                f"{self._name}: gave up on {oldest} after {self._attempts + 1} tries: {self._reason}{line}"
            )
        unanswered = [request for request in self.requests if request.status is None]
        for request in unanswered:
            self._counters.resent += 1
            request.again = True
        self._awaited, self._attempts, self.trouble = len(unanswered), self._attempts + 1, None
        return unanswered


def status_name(code: int) -> str:
    """Name of a status code; `status CODE` if it is unknown."""
    return Status(code).name if code in {s.value for s in Status} else f"status {code}"
