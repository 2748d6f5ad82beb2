"""HELLO on a board that still executes an earlier host's requests: modelled lines, simulated time."""

import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import VERSION, Command, Identity, Sample
from nudge.host.link import frame
from nudge.host.link.link import Link
from nudge.host.link.patience import BACKLOG_SECONDS
from nudge.host.training.timed_port import Clock, TimedPort
from nudge.plumbing.errors import LinkError

from .fake_port import FakeBoard

SMALL = preset("small")
WINDOW = 32
IDENTITY = Identity("small", SMALL.identity, 0, 1, configuration(SMALL).lanes, window=WINDOW)


class Board(TimedPort):
    """A board that drops frames while all its buffers are in use, on a line that may damage answers.

    spoiled: numbers of the answers that arrive damaged.
    """

    def __init__(self, clock, seconds, spoiled=()):
        super().__init__(FakeBoard(IDENTITY).protocol, clock, baud=3e6, seconds=seconds)
        self.spoiled = set(spoiled)
        self.dropped = self.answers = 0

    def _answer(self, arrival):
        if sum(time > arrival for time, _ in self._coming) >= WINDOW:
            self.dropped += 1
            self._received.clear()
            return
        super()._answer(arrival)
        if self.answers in self.spoiled:
            time, answer = self._coming[-1]
            self._coming[-1] = time, answer[:3] + bytes((answer[3] ^ 64,)) + answer[4:]
        self.answers += 1


def left_alone(port, trained):
    """Let an earlier host send HELLO and samples, and disappear before the answers come."""
    earlier = Link(port, "earlier", clock=port.clock)
    earlier.hello()
    for n in range(trained):
        port.write(frame.request((earlier._next + n) % 256, Command.TRAIN, bytes(Sample.size())))


@pytest.mark.parametrize("trained", [WINDOW - 1, WINDOW])
@pytest.mark.parametrize("seconds", [0.5, 3.0, 4.5])
def test_hello_waits_while_an_earlier_session_is_answered(seconds, trained):
    notes: list[str] = []
    port = Board(Clock(), seconds)
    left_alone(port, trained)
    start = port.clock.now
    link = Link(port, "fake", clock=port.clock, note=notes.append)
    assert link.hello() == IDENTITY
    assert link.window == WINDOW
    work = trained * seconds
    # each HELLO takes the fake board as long as a sample
    assert work <= port.clock.now - start < work + 8 * max(seconds, 2.0)
    assert notes == ["fake: the board works off an earlier session's requests; waiting for it"]
    # with all its buffers in use the board drops the first HELLO
    assert port.dropped or trained < WINDOW
    assert link.call(Command.COMMIT) == b""


def test_hello_waits_though_some_old_answers_are_damaged():
    port = Board(Clock(), 0.5, spoiled=(3, 4, 10, 20))
    left_alone(port, 30)
    link = Link(port, "fake", clock=port.clock)
    assert link.hello() == IDENTITY
    assert link.damaged == 4


def test_answers_without_end_end_at_a_bound_and_are_named():
    class Chatter(Board):
        """Answers something every second for ever, but never HELLO."""

        def write(self, data):
            pass

        def read(self, size):
            if self.timeout and not self._here:
                self.clock.now += min(self.timeout, 1.0)
                body = bytes((VERSION, 7, Command.TRAIN | 0x80, 0))
                self._here += frame.encode_answer(body + bytes(5))
            return super().read(size)

    clock = Clock()
    message = (
        r"no answer to HELLO in 1 tries, 300 s\. \d+ good answers to requests of an earlier session "
        r"came: wait until the board has worked them off, or reset it"
    )
    with pytest.raises(LinkError, match=message):
        Link(Chatter(clock, 0.0), "fake", clock=clock).hello()
    assert clock.now == pytest.approx(BACKLOG_SECONDS)


def test_hello_that_is_always_refused_is_named():
    class Deaf(Board):
        """Every request arrives damaged."""

        def write(self, data):
            super().write(bytes(byte ^ (byte > 1 and 2) for byte in data))

    clock = Clock()
    with pytest.raises(LinkError, match=r"A board answered \d+ times that the HELLO was damaged"):
        Link(Deaf(clock, 0.0), "fake", clock=clock).hello()
