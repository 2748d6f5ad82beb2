"""Sequence numbers of requests: how many were executed, which comes next, and the stored answers."""

from amaranth.hdl import Mux, Signal
from amaranth.lib import data

from nudge.golden.contract.protocol import ANSWER_PAYLOAD, Command, Status


class Stored(data.Struct):
    """A stored answer, except its payload, which is in the framer's memory."""

    command: 8
    status: Status
    length: range(ANSWER_PAYLOAD + 1)


class SequenceState:
    """The sequence number of the current frame, compared with those executed."""

    def __init__(self, window: int, most_taken: int):
        self.window = window
        self.hello = Signal()
        #: Sequence number of the answer: the current frame's, or a taken sample's. Set in CHECK.
        self.answered = Signal(8)
        #: Its answer slot.
        self.slot = Signal(range(window))
        #: Sequence number of the next request.
        self.upcoming = Signal(8)
        #: Requests executed since HELLO, HELLO included, at most `window`.
        self.executed = Signal(range(window + 1))
        #: In the cycle before, the frame's number was the next one to be executed; or one of those executed.
        self.following, self.recent = Signal(name="following"), Signal(name="recent")
        #: Samples taken and not answered. Theirs are the last numbers before `upcoming`, because no other
        #: request is executed meanwhile.
        self.taken = Signal(range(most_taken + 1))

    def compare(self, m, request):
        """Compare the number of the current frame."""
        age = Signal(8)
        m.d.sync += [
            self.following.eq((self.executed != 0) & (request.sequence == self.upcoming)),
            self.recent.eq(age < self.executed),
        ]
        m.d.comb += [
            self.hello.eq(request.command == Command.HELLO),
            # distance behind the number executed last, mod 256
            age.eq(self.upcoming - 1 - request.sequence),
            self.slot.eq(self.answered[: len(self.slot)]),
        ]

    def count(self, m, request):
        """Count the current request as executed."""
        m.d.sync += self.upcoming.eq(request.sequence + 1)
        more = Mux(self.executed == self.window, self.window, self.executed + 1)
        m.d.sync += self.executed.eq(Mux(self.hello, 1, more))
