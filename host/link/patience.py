"""Timeouts of the link, learned from the board's answers, and the payload length for a damaged line."""

from nudge.golden.contract.protocol import Command

#: After a refusal or a damaged answer, the requests in flight are sent again at the latest after QUIET
#: seconds without an answer, or after SLOW times the longest answer so far if that is longer. With less, a
#: slow board would repeatedly receive, and answer, the requests that it is still executing.
QUIET, SLOW = 0.1, 2.0

#: Number of resends in a row that start as soon as all answers are in. Each later one waits twice as long as
#: the one before it, up to 1 s.
PROMPT = 8

#: A request is late, and sent again, after LATE times the longest answer to its command so far, at least
#: SOONEST seconds.
LATE, SOONEST = 8.0, 1.0

#: Shortest payload in bytes on a bad line, for commands whose length the host may choose.
SHORTEST = 64

#: Limits of the drain at HELLO, which a device that never stops sending must not block.
DRAIN_SECONDS, DRAIN_BYTES = 1.0, 1 << 20

#: Longest wait for HELLO's answer while a board answers an earlier session's requests: MAX_WINDOW samples of
#: `medium`, 180,000 cycles each with line engines, on a virtual board that simulates 40,000 cycles a second.
BACKLOG_SECONDS = 300.0

#: Seconds of that wait after which the user is told.
NOTE_SECONDS = 3.0


def quiet(attempts: int, awaited: int, longest: float = 0.0) -> float:
    """Return the seconds to wait after trouble for answers still to come, before requests are sent again.

    With least = max(QUIET, SLOW * longest): for attempts < PROMPT, least if `awaited` is not 0, else 0; from
    then on max(least, min(QUIET * 2^(attempts - PROMPT), 1)).

    attempts: resends in a row so far. awaited: number of answers still expected. longest: seconds of the
    longest answer to such a request.
    """
    least = max(QUIET, SLOW * longest)
    if attempts < PROMPT:
        return least if awaited else 0.0
    return max(least, min(QUIET * 2 ** (attempts - PROMPT), 1.0))


class Patience:
    """Longest answer time of each command, and the deadlines computed from it.

    timeout: longest deadline in seconds. carried: bytes of answered requests and their answers. damaged:
    number of times that requests had to be sent again.
    """

    def __init__(self, timeout: float):
        self.timeout = timeout
        self.carried = self.damaged = 0
        self._longest: dict[Command, float] = {}

    @property
    def between(self) -> int:
        """Mean number of bytes between two damages: floor(carried / damaged); `carried` without damage."""
        return self.carried // max(self.damaged, 1)

    @property
    def length(self) -> int:
        """Payload bytes in a frame whose length the host may choose: `between`, at least `SHORTEST`.

        About one frame in three of that length passes undamaged.
        """
        return max(self.between, SHORTEST)

    def longest(self, command: Command) -> float:
        """Return the seconds of the longest answer to a command so far, 0.0 before the first."""
        return self._longest.get(command, 0.0)

    def learn(self, command: Command, seconds: float) -> None:
        """Record the seconds that an answer took."""
        self._longest[command] = max(self.longest(command), seconds)

    def of(self, command: Command) -> float:
        """Return the deadline of an answer, in seconds after the answer before it.

        min(timeout, max(SOONEST, LATE * longest)); `timeout` before the first answer to this command.
        """
        if command not in self._longest:
            return self.timeout
        return min(self.timeout, max(SOONEST, LATE * self._longest[command]))
