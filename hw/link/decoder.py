"""Refuses each frame, repeats an answer or has the command executed once; stores the answer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.contract.protocol import (
    ANSWER_BYTES,
    ANSWER_PAYLOAD,
    CRC_BYTES,
    MAX_WINDOW,
    PAYLOAD_BYTES,
    REQUEST_HEADER,
    VERSION,
    WINDOW,
    Command,
    Status,
    check_window,
)

from .interface import Answer, Executor, Request

#: Executors, and the commands that each serves.
EXECUTORS: dict[str, tuple[Command, ...]] = {
    "registers": (Command.READ_REGISTER, Command.WRITE_REGISTER),
    "weights": (Command.READ_WEIGHTS, Command.WRITE_WEIGHTS, Command.DIGEST),
    "samples": (Command.INFER, Command.TRAIN, Command.COMMIT),
}


class Stored(data.Struct):
    """What is kept of an answer, beside its payload in the framer's memory."""

    command: 8
    status: Status
    length: range(ANSWER_PAYLOAD + 1)


class Decoder(wiring.Component):
    """Takes frames in order, and answers each one.

    A frame is refused with the first that holds: the deframer's status (BAD_FRAME, BAD_LENGTH for a
    frame too short or too long, BAD_CRC), BAD_VERSION, BAD_COMMAND, BAD_LENGTH (another length than
    the command's), BAD_SEQUENCE. A refusal has no payload, echoes the sequence and command bytes as
    received, and changes nothing: no sequence, no stored answer.

    Sequence. `executed` is the number of requests executed since the last HELLO, which counts, at
    most `window`; 0 after reset.

    - HELLO is always executed, also one with a number seen before; it forgets all stored answers
      and sets `executed` to 1.
    - Else the next number is executed, if `executed` isn't 0: a board that was reset since the host
      said HELLO does nothing.
    - Else a number among the last `executed` gets its stored answer again: status and payload, and
      the stored command.
    - Else BAD_SEQUENCE.

    A request whose executor finds BAD_ORDER or BAD_RANGE counts as executed. Its answer is in slot
    `sequence mod window`; it isn't begun while the framer may still send an older answer from that
    slot.

    Latency, from `i.valid` to `o.valid`: the executor's, from `start` to `done`, and 3 cycles; a
    repeated answer or BAD_SEQUENCE 2 cycles, another refusal 1. Throughput: one request at a time;
    the next one overlaps with sending.

    Parameters
    ----------
    identity : bytes
        Payload of HELLO's answer.
    window : int
        Link window, answers that are kept: a power of two, 1..MAX_WINDOW.

    Members
    -------
    i : In(stream.Signature(Request))
        Frames, from the deframer.
    o : Out(stream.Signature(Answer))
        To the framer. Ready means that it sends nothing.
    write, slot, address, data : Out
        The framer's payload memory.
    registers, weights, samples : Out(Executor())
        Who executes which command: `EXECUTORS`.
    refused : Out(1)
        One cycle for each request that is refused or fails, but not for repetitions of its answer.
    status : Out(Status)
        Why, in the cycle of ``refused``.
    repeated : Out(1)
        One cycle for each repeated answer.
    """

    def __init__(self, identity: bytes, window: int = WINDOW):
        if len(identity) > ANSWER_PAYLOAD:
            most = ANSWER_PAYLOAD
            raise ValueError(f"identity must have at most {most} bytes, not {len(identity)}")
        self.identity, self.window = identity, check_window(window)
        super().__init__(
            {
                "i": In(stream.Signature(Request)),
                "o": Out(stream.Signature(Answer)),
                "write": Out(1),
                "slot": Out(range(MAX_WINDOW)),
                "address": Out(range(ANSWER_BYTES)),
                "data": Out(8),
                "refused": Out(1),
                "status": Out(Status),
                "repeated": Out(1),
            }
            | {name: Out(Executor()) for name in EXECUTORS}
        )

    def elaborate(self, platform):
        m = Module()
        request = self.i.payload
        legal = self._legal(m)

        state = SequenceState(self.window)
        m.d.comb += [
            state.hello.eq(request.command == Command.HELLO),
            state.slot.eq(request.sequence[: len(state.slot)]),
            state.age.eq(state.upcoming - 1 - request.sequence),
        ]
        m.submodules.stored = stored = Memory(shape=Stored, depth=self.window, init=[])
        store, recall = stored.write_port(), stored.read_port(domain="comb")
        m.d.comb += [store.addr.eq(state.slot), recall.addr.eq(state.slot)]

        outcome = self._gather(m, state.slot)
        m.d.comb += self.status.eq(outcome.status)
        with m.FSM():
            self._check(m, legal, state, outcome)
            self._sequence(m, state, recall.data)
            self._execute(m, state, outcome, store)
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "CHECK"
        return m

    def _legal(self, m):
        """Whether the command exists, and whether the frame is as long as it says."""
        request = self.i.payload
        known, right_length = Signal(), Signal()
        payload = Signal(range(-REQUEST_HEADER - CRC_BYTES, 1 << len(request.length)))
        m.d.comb += payload.eq(request.length - (REQUEST_HEADER + CRC_BYTES))
        with m.Switch(request.command):
            for command, size in PAYLOAD_BYTES.items():
                with m.Case(command):
                    at_least = command is Command.WRITE_WEIGHTS
                    legal = payload >= size if at_least else payload == size
                    m.d.comb += [known.eq(1), right_length.eq(legal)]
        return known, right_length

    def _gather(self, m, slot):
        """Writes the payload of the answer, byte by byte, and keeps how its executor ended.

        Of the executors only the started one speaks; HELLO is answered here.
        """
        outcome = Outcome()
        length, executors = outcome.length, [getattr(self, name) for name in EXECUTORS]
        identity = Signal(8)
        with m.Switch(length):
            for n, byte in enumerate(self.identity):
                with m.Case(n):
                    m.d.comb += identity.eq(byte)
        m.d.sync += [outcome.done.eq(0), outcome.status.eq(Status.OK)]
        m.d.comb += [
            self.slot.eq(slot),
            self.address.eq(length),
            self.write.eq(outcome.saying | Cat(e.o.valid for e in executors).any()),
            self.data.eq(identity),
        ]
        for executor in executors:
            m.d.comb += executor.request.eq(self.i.payload)
            with m.If(executor.o.valid):
                m.d.comb += self.data.eq(executor.o.payload)
            with m.If(executor.done):
                m.d.sync += [outcome.done.eq(1), outcome.status.eq(executor.status)]
        with m.If(self.write):
            m.d.sync += length.eq(length + 1)
        return outcome

    def _reply(self, m, slot, command, status, length):
        """Hands the answer over and gives the frame back."""
        answer = self.o.payload
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [answer.sequence.eq(self.i.payload.sequence), answer.slot.eq(slot)]
        m.d.sync += [answer.command.eq(command), answer.status.eq(status), answer.length.eq(length)]
        m.next = "ANSWER"

    def _refuse(self, m, slot, why):
        m.d.comb += [self.refused.eq(1), self.status.eq(why)]
        self._reply(m, slot, self.i.payload.command, why, 0)

    def _check(self, m, legal, state, outcome):
        """What can be said of a frame by itself."""
        request, (known, right_length) = self.i.payload, legal
        with m.State("CHECK"):
            m.d.sync += outcome.length.eq(0)
            with m.If(self.i.valid):
                with m.If(request.status != Status.OK):
                    self._refuse(m, state.slot, request.status)
                with m.Elif(request.version != VERSION):
                    self._refuse(m, state.slot, Status.BAD_VERSION)
                with m.Elif(~known):
                    self._refuse(m, state.slot, Status.BAD_COMMAND)
                with m.Elif(~right_length):
                    self._refuse(m, state.slot, Status.BAD_LENGTH)
                with m.Else():
                    m.next = "SEQUENCE"

    def _sequence(self, m, state, recalled):
        """Executes, repeats or refuses, as the sequence number says."""
        request, slot, executed = self.i.payload, state.slot, state.executed
        with m.State("SEQUENCE"):
            with m.If(state.hello | ((executed != 0) & (request.sequence == state.upcoming))):
                # `answer` is still the one that the framer took last
                with m.If(self.o.ready | (self.o.payload.slot != slot)):
                    for name, commands in EXECUTORS.items():
                        mine = Cat(request.command == c for c in commands).any()
                        m.d.comb += getattr(self, name).start.eq(mine)
                    m.next = "EXECUTE"
            with m.Elif(state.age < executed):
                m.d.comb += self.repeated.eq(1)
                self._reply(m, slot, recalled.command, recalled.status, recalled.length)
            with m.Else():
                self._refuse(m, slot, Status.BAD_SEQUENCE)

    def _execute(self, m, state, outcome, store):
        """Waits for the executor, counts the request and stores its answer."""
        request, executed, status = self.i.payload, state.executed, outcome.status
        with m.State("EXECUTE"):
            with m.If(state.hello):
                m.d.comb += outcome.saying.eq(outcome.length != len(self.identity))
            with m.If(outcome.done | (state.hello & ~outcome.saying)):
                written = Mux(status == Status.OK, outcome.length, 0)
                m.d.comb += self.refused.eq(status != Status.OK)
                m.d.sync += state.upcoming.eq(request.sequence + 1)
                more = Mux(executed == self.window, self.window, executed + 1)
                m.d.sync += executed.eq(Mux(state.hello, 1, more))
                m.d.comb += [
                    store.en.eq(1),
                    store.data.command.eq(request.command),
                    store.data.status.eq(status),
                    store.data.length.eq(written),
                ]
                self._reply(m, state.slot, request.command, status, written)


class SequenceState:
    """Where a frame's sequence number stands among those executed."""

    def __init__(self, window: int):
        self.hello, self.slot = Signal(), Signal(range(window))
        #: Sequence number of the next request.
        self.upcoming = Signal(8)
        #: Requests executed since HELLO, at most `window`.
        self.executed = Signal(range(window + 1))
        #: 0 for the number executed last.
        self.age = Signal(8)


class Outcome:
    """What the executor has said so far."""

    def __init__(self):
        #: Payload bytes written.
        self.length = Signal(range(ANSWER_PAYLOAD + 1))
        #: HELLO's answer is being written.
        self.saying = Signal()
        #: Its executor was done in the cycle before.
        self.done = Signal()
        #: What its executor found.
        self.status = Signal(Status)
