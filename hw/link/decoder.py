"""Decides about each frame: refuse it, repeat an answer, or have it executed once; and writes down the answer."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.contract.protocol import (
    ANSWER_BYTES,
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

from .interface import ANSWER_PAYLOAD, Answer, Executor, Request

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

    A frame is refused with the first that holds: the deframer's status (BAD_FRAME, BAD_LENGTH for a frame too short or too
    long, BAD_CRC), BAD_VERSION, BAD_COMMAND, BAD_LENGTH (another length than the command's), BAD_SEQUENCE. A refusal has no
    payload, echoes the sequence and command bytes as received, and changes nothing: no sequence, no stored answer.

    Sequence. `executed` is the number of requests executed since the last HELLO, which counts, at most `window`; 0 after reset.

    - HELLO is always executed, also one with a number seen before; it forgets all stored answers and sets `executed` to 1.
    - Else the next number is executed, if `executed` isn't 0: a board that was reset since the host said HELLO does nothing.
    - Else a number among the last `executed` gets its stored answer again: status and payload, and the stored command.
    - Else BAD_SEQUENCE.

    A request whose executor finds BAD_ORDER or BAD_RANGE counts as executed. Its answer is in slot `sequence mod window`; it
    isn't begun while the framer may still send an older answer from that slot.

    Latency, from `i.valid` to `o.valid`: the executor's, from `start` to `done`, and 3 cycles; a repeated answer or
    BAD_SEQUENCE 2 cycles, another refusal 1. Throughput: one request at a time; the next one overlaps with sending.

    Parameters
    ----------
    identity : bytes
        Payload of HELLO's answer.
    window : int
        Answers that are kept; a power of two, 1..MAX_WINDOW.

    Members
    -------
    i : In(stream.Signature(Request))
    o : Out(stream.Signature(Answer))
        To the framer. Ready means that it sends nothing.
    write, slot, address, data : Out
        The framer's payload memory.
    registers, weights, samples : Out(Executor())
    refused : Out(1), status : Out(Status)
        One cycle for each request that is refused or fails, but not for repetitions of its answer.
    repeated : Out(1)
        One cycle for each of those.
    """

    def __init__(self, identity: bytes, window: int = WINDOW):
        if len(identity) > ANSWER_PAYLOAD:
            raise ValueError(f"identity must have at most {ANSWER_PAYLOAD} bytes, not {len(identity)}")
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
        executors = {name: getattr(self, name) for name in EXECUTORS}

        known, right_length = Signal(), Signal()
        payload = Signal(range(-REQUEST_HEADER - CRC_BYTES, 1 << len(request.length)))
        m.d.comb += payload.eq(request.length - (REQUEST_HEADER + CRC_BYTES))
        with m.Switch(request.command):
            for command, size in PAYLOAD_BYTES.items():
                with m.Case(command):
                    legal = payload >= size if command is Command.WRITE_WEIGHTS else payload == size
                    m.d.comb += [known.eq(1), right_length.eq(legal)]

        hello, slot = Signal(), Signal(range(self.window))
        upcoming = Signal(8)
        executed = Signal(range(self.window + 1))
        age = Signal(8)  # 0 for the last executed number
        m.d.comb += [
            hello.eq(request.command == Command.HELLO),
            slot.eq(request.sequence[: len(slot)]),
            age.eq(upcoming - 1 - request.sequence),
        ]

        length = Signal(range(ANSWER_PAYLOAD + 1))
        m.submodules.stored = stored = Memory(shape=Stored, depth=self.window, init=[])
        store, recall = stored.write_port(), stored.read_port(domain="comb")
        recalled = recall.data
        m.d.comb += [store.addr.eq(slot), recall.addr.eq(slot)]

        # Of the executors only the started one speaks; HELLO is answered here.
        identity = Signal(8)
        saying = Signal()
        done = Signal()
        status = Signal(Status)
        with m.Switch(length):
            for n, byte in enumerate(self.identity):
                with m.Case(n):
                    m.d.comb += identity.eq(byte)
        m.d.sync += [done.eq(0), status.eq(Status.OK)]
        m.d.comb += [
            self.slot.eq(slot),
            self.address.eq(length),
            self.write.eq(saying | Cat(e.o.valid for e in executors.values()).any()),
            self.data.eq(identity),
        ]
        for executor in executors.values():
            m.d.comb += executor.request.eq(request)
            with m.If(executor.o.valid):
                m.d.comb += self.data.eq(executor.o.payload)
            with m.If(executor.done):
                m.d.sync += [done.eq(1), status.eq(executor.status)]
        with m.If(self.write):
            m.d.sync += length.eq(length + 1)

        answer = self.o.payload
        m.d.comb += self.status.eq(status)

        def reply(command, status, length):
            """Hand the answer over and give the frame back."""
            m.d.comb += self.i.ready.eq(1)
            m.d.sync += [answer.sequence.eq(request.sequence), answer.slot.eq(slot)]
            m.d.sync += [answer.command.eq(command), answer.status.eq(status), answer.length.eq(length)]
            m.next = "ANSWER"

        def refuse(why):
            m.d.comb += [self.refused.eq(1), self.status.eq(why)]
            reply(request.command, why, 0)

        with m.FSM():
            with m.State("CHECK"):
                m.d.sync += length.eq(0)
                with m.If(self.i.valid):
                    with m.If(request.status != Status.OK):
                        refuse(request.status)
                    with m.Elif(request.version != VERSION):
                        refuse(Status.BAD_VERSION)
                    with m.Elif(~known):
                        refuse(Status.BAD_COMMAND)
                    with m.Elif(~right_length):
                        refuse(Status.BAD_LENGTH)
                    with m.Else():
                        m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                with m.If(hello | ((executed != 0) & (request.sequence == upcoming))):
                    # `answer` is still the one that the framer took last
                    with m.If(self.o.ready | (answer.slot != slot)):
                        for name, commands in EXECUTORS.items():
                            m.d.comb += executors[name].start.eq(Cat(request.command == c for c in commands).any())
                        m.next = "EXECUTE"
                with m.Elif(age < executed):
                    m.d.comb += self.repeated.eq(1)
                    reply(recalled.command, recalled.status, recalled.length)
                with m.Else():
                    refuse(Status.BAD_SEQUENCE)
            with m.State("EXECUTE"):
                with m.If(hello):
                    m.d.comb += saying.eq(length != len(self.identity))
                with m.If(done | (hello & ~saying)):
                    written = Mux(status == Status.OK, length, 0)
                    m.d.comb += self.refused.eq(status != Status.OK)
                    m.d.sync += upcoming.eq(request.sequence + 1)
                    m.d.sync += executed.eq(Mux(hello, 1, Mux(executed == self.window, self.window, executed + 1)))
                    m.d.comb += [
                        store.en.eq(1),
                        store.data.command.eq(request.command),
                        store.data.status.eq(status),
                        store.data.length.eq(written),
                    ]
                    reply(request.command, status, written)
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "CHECK"
        return m
