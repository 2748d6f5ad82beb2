"""How long the link waits, and for what; and how long its frames may be."""

from golden.contract.protocol import Command

#: Seconds without an answer, after a refusal or a damaged answer, until the requests in flight are sent again at the latest;
#: more where a board has been slower before: so many times its longest answer. Else what it still works off is sent again and
#: again, and it answers all of it.
QUIET, SLOW = 0.1, 2.0

#: Resends in a row that follow at once when all answers are in; later ones wait, twice as long each time, up to a second.
PROMPT = 8

#: A request is late, and sent again, after this multiple of the longest answer to its command so far,
#: but not before `SOONEST` seconds.
LATE, SOONEST = 8.0, 1.0

#: Bytes of payload in the shortest frame that a bad line is given, where the host may choose.
SHORTEST = 64

#: Bounds of the drain at open: a device that never stops talking must not hold it.
DRAIN_SECONDS, DRAIN_BYTES = 1.0, 1 << 20

#: Longest wait for HELLO's answer while a board answers an earlier session: MAX_WINDOW samples of
#: `medium`, with line-buffered engines 180,000 cycles each, on a virtual board that gets through
#: 40,000 a second.
BACKLOG_SECONDS = 300.0

#: Seconds of that wait after which the user is told.
NOTE_SECONDS = 3.0


def quiet(attempts: int, awaited: int, longest: float = 0.0) -> float:
    """Seconds to wait, after trouble, for what may still come; the more tries have failed, the longer.

    longest: seconds that an answer to such a request took, at most.
    """
    least = max(QUIET, SLOW * longest)
    if attempts < PROMPT:
        return least if awaited else 0.0
    return max(least, min(QUIET * 2 ** (attempts - PROMPT), 1.0))


class Patience:
    """How long answers to each command took, and so how long the next one is waited for. timeout: seconds, at most.

    carried: bytes of requests and answers that came through. damaged: times that requests had to be sent again.
    """

    def __init__(self, timeout: float):
        self.timeout = timeout
        self.carried = self.damaged = 0
        self._longest: dict[Command, float] = {}

    @property
    def between(self) -> int:
        """Bytes that came through between two damages."""
        return self.carried // max(self.damaged, 1)

    @property
    def length(self) -> int:
        """Bytes of payload in a frame, where the host may choose: so many that one in three gets through."""
        return max(self.between, SHORTEST)

    def longest(self, command: Command) -> float:
        """Seconds that an answer took so far."""
        return self._longest.get(command, 0.0)

    def learn(self, command: Command, seconds: float) -> None:
        """An answer took that long."""
        self._longest[command] = max(self.longest(command), seconds)

    def of(self, command: Command) -> float:
        """Seconds in which the answer must come, if all before it have; before the first one, all that there are."""
        if command not in self._longest:
            return self.timeout
        return min(self.timeout, max(SOONEST, LATE * self._longest[command]))
