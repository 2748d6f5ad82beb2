"""Requests that are in flight: which are answered, how long the oldest is waited for, and when all are sent again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from golden.contract.protocol import ANSWER, ANSWER_HEADER, VERSION, Command, Status
from plumbing.errors import LinkError

from . import patience
from .counters import Counters
from .patience import Patience

#: Statuses of a request that was executed: its answer is final.
EXECUTED = (Status.OK, Status.BAD_ORDER, Status.BAD_RANGE, Status.BAD_IMAGE, Status.NOT_STORED)


@dataclass
class Request:
    """A request with its number, and the answer that it got; `status` None: none yet."""

    sequence: int
    command: Command
    frame: bytes
    status: Status | None = None
    payload: bytes = b""
    #: It was sent more than once.
    again: bool = False

    def __str__(self) -> str:
        return f"{self.command.name} (sequence {self.sequence})"


class Flight:
    """Requests that were sent and not yet taken back, oldest first. It says what to do, and sends nothing itself.

    name: for messages. patience: of the link, which learns from the answers. counters: of the link. retries: how often in a
    row a deadline may be missed, resends: how often in a row all may be sent again. clock: seconds that pass.
    """

    def __init__(
        self, name: str, patience: Patience, counters: Counters, retries: int, resends: int, clock: Callable[[], float]
    ):
        self.requests: deque[Request] = deque()
        #: Why what is unanswered has to be sent again, as soon as nothing more is expected; None: all is well.
        self.trouble: str | None = None
        #: Until when to wait for the next answer.
        self.deadline = 0.0
        self._name, self._patience, self._counters, self._clock = name, patience, counters, clock
        self._retries, self._resends = retries, resends
        #: In a row: resends, missed deadlines, answers that say that the board doesn't know us.
        self._attempts = self._missed = self._lost = 0
        #: Answers, of whatever kind, to frames that were sent.
        self._awaited = 0
        #: Seconds at which the wait began.
        self._since = 0.0
        #: Why it is sent again.
        self._reason = ""

    def add(self, request: Request) -> None:
        """One that is sent now."""
        self.requests.append(request)
        self._awaited += 1
        if len(self.requests) == 1:
            self.wait()

    def wait(self) -> None:
        """The wait for the oldest begins now: a longer one where deadlines were missed before; in trouble, as `hear` says."""
        self._since = self._clock()
        if self.trouble is None:
            usual = self._patience.of(self.requests[0].command)
            self.deadline = self._since + min(usual * 2**self._missed, self._patience.timeout)

    def silence(self) -> None:
        """The deadline has passed."""
        if self.trouble is None:
            self._missed += 1
            self._patience.damaged += 1
            self._counters.timeouts += 1
            self._reason = f"no answer within {self.deadline - self._since:.3g} s"

    def hear(self, body: bytes) -> None:
        """The body of an answer; empty: one that was damaged."""
        self._awaited = max(self._awaited - 1, 0)
        oldest = self.requests[0]
        if len(body) < ANSWER_HEADER:
            self._damaged("an answer was damaged")
        elif body[3] in EXECUTED:
            self._assign(body)
        else:
            self._counters.refused += 1
            self._damaged(f"an answer was {status_name(body[3])}")
            # In order as all else is, this can't be said of the oldest unless the board has forgotten the HELLO.
            self._lost += body[1] == oldest.sequence and body[3] == Status.BAD_SEQUENCE and oldest.again
        if self.trouble is not None:
            self._reason = self.trouble
            # each answer puts it off, so that what a slow board still works off isn't sent once more
            quiet = patience.quiet(self._attempts, self._awaited, self._patience.longest(oldest.command))
            self.deadline = min(self._since + self._patience.timeout, self._clock() + quiet)

    def _damaged(self, trouble: str) -> None:
        """The first answer of this kind since all was sent: BAD_SEQUENCE behind it follows from it."""
        self._patience.damaged += self.trouble is None
        self.trouble = self.trouble or trouble

    def _assign(self, body: bytes) -> None:
        """Give a final answer to the request that waits for it."""
        for request in self.requests:
            if request.status is None and body[:3] == bytes((VERSION, request.sequence, request.command | ANSWER)):
                request.status, request.payload = Status(body[3]), body[ANSWER_HEADER:]
                self._patience.carried += len(request.frame) + len(body)
                if not request.again:
                    self._patience.learn(request.command, self._clock() - self._since)
                return
        self._counters.unexpected += 1

    def take(self) -> Request | None:
        """The oldest, if it is answered; `wait` when whoever gets it is done with it."""
        if not self.requests or self.requests[0].status is None:
            return None
        self._attempts = self._missed = self._lost = 0
        done = self.requests.popleft()
        if not self.requests:
            self.trouble = None
        return done

    def stuck(self, *, silent: bool) -> bool:
        """Whether all that is unanswered has to be sent again now. silent: the deadline has passed."""
        prompt = self.trouble is not None and self._awaited == 0 and self._attempts < patience.PROMPT
        return bool(self.requests) and (silent or prompt)

    def again(self) -> list[Request]:
        """What is unanswered, to be sent again from the oldest; `LinkError` if that was tried often enough."""
        oldest = self.requests[0]
        if self._lost > 1:
            raise LinkError(f"{self._name}: the board was reset: it doesn't know {oldest}")
        if self._missed > self._retries or self._attempts == self._resends:
            size, between = len(oldest.frame), self._patience.between
            line = f"; its frame has {size} bytes, and {between} came through between two damages" if self.trouble else ""
            raise LinkError(f"{self._name}: gave up on {oldest} after {self._attempts + 1} tries: {self._reason}{line}")
        unanswered = [request for request in self.requests if request.status is None]
        for request in unanswered:
            self._counters.resent += 1
            request.again = True
        self._awaited, self._attempts, self.trouble = len(unanswered), self._attempts + 1, None
        return unanswered


def status_name(code: int) -> str:
    """Of a status, even of one that isn't known."""
    return Status(code).name if code in {s.value for s in Status} else f"status {code}"
