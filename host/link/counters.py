"""Counters of the link: over its lifetime, and while HELLO waits for its answer."""

from dataclasses import dataclass


@dataclass
class Counters:
    """Counts over a link's lifetime. On an undisturbed line all but `requests` stay 0, and `hellos` 1."""

    requests: int = 0  #: requests that have their final answer
    hellos: int = 0  #: HELLOs sent
    resent: int = 0  #: frames sent again
    timeouts: int = 0  #: deadlines missed
    refused: int = 0  #: answers that refused a frame as damaged or out of sequence
    unexpected: int = 0  #: valid answers to no outstanding request, such as repetitions


@dataclass
class Heard:
    """Everything received instead of HELLO's answer; `str` gives a diagnosis for the error message."""

    since: float  #: time of the first HELLO, in seconds of the link's clock
    tries: int = 0  #: HELLOs sent
    answers: int = 0  #: valid answers to other requests: the board is executing those of an earlier session
    refused: int = 0  #: answers that refused the HELLO as damaged
    damaged: int = 0  #: received pieces that were not a valid frame
    received: int = 0  #: bytes since the last drain, set when HELLO gives up
    told: bool = False  #: the user was told that the board is executing an earlier session's requests

    @property
    def damage(self) -> int:
        """Number of damaged pieces and refusals, which suggest a bad line."""
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
