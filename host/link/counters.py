"""What the link counts: over its life, and while HELLO waits for its answer."""

from dataclasses import dataclass


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
class Heard:
    """What came instead of HELLO's answer; `str` says what to make of it."""

    since: float  #: when the first HELLO was sent
    tries: int = 0  #: HELLOs sent
    answers: int = 0  #: good answers to other requests: a board works off those of an earlier session
    refused: int = 0  #: answers that said the HELLO was damaged
    damaged: int = 0  #: pieces that were no frame
    received: int = 0  #: bytes of all these
    told: bool = False  #: the user knows that the board works off an earlier session

    @property
    def damage(self) -> int:
        """Pieces and answers that speak of a bad line."""
        return self.damaged + self.refused

    def __str__(self) -> str:
        if self.answers:
            also = f" and {self.damaged} damaged pieces" if self.damaged else ""
            came = f"{self.answers} good answers to requests of an earlier session{also} came"
            return f"{came}: wait until the board has worked them off, or reset it"
        if self.refused:
            return f"A board answered {self.refused} times that the HELLO was damaged: bad line to it?"
        if self.received:
            return f"{self.received} bytes came, but no answer: another program, or another baud rate?"
        return "Nothing came at all."
