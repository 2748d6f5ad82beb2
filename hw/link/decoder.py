"""Answers frames: refuses a frame, repeats a stored answer, or has its command executed exactly once."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.protocol import (
    ANSWER_BYTES,
    ANSWER_PAYLOAD,
    CRC_BYTES,
    LONGER,
    MAX_WINDOW,
    PAYLOAD_BYTES,
    REQUEST_BYTES,
    REQUEST_HEADER,
    STORED_PAYLOAD_BYTES,
    VALUE_BYTES,
    VERSION,
    WINDOW,
    Command,
    Sampled,
    Status,
    check_window,
)
from nudge.hw.lib.block_memory import WrittenMemory

from .interface import Answer, Executor, SampleExecutor, request_shape
from .sequence import SequenceState, Stored

#: Executors by name, with the commands that each executes.
EXECUTORS: dict[str, tuple[Command, ...]] = {
    "registers": (Command.READ_REGISTER, Command.WRITE_REGISTER),
    "weights": (Command.READ_WEIGHTS, Command.WRITE_WEIGHTS, Command.DIGEST),
    "samples": (Command.INFER, Command.TRAIN, Command.COMMIT),
}

#: Additional executors of a board with memory for samples.
STORED_EXECUTORS: dict[str, tuple[Command, ...]] = {
    "records": (Command.STORE, Command.STORE_DIGEST),
    "stored": (Command.TRAIN_STORED, Command.INFER_STORED),
}


class Decoder(wiring.Component):
    """Processes frames in order, and answers each one.

    A frame is refused with the first status that applies: the deframer's (BAD_FRAME, BAD_LENGTH for a frame
    too short or too long, BAD_CRC), BAD_VERSION, BAD_COMMAND, BAD_LENGTH (another length than the command's),
    BAD_SEQUENCE. A refusal has no payload, echoes the sequence and command bytes as received, and changes
    neither the sequence nor a stored answer.

    Sequence. `executed` is the number of requests executed since the last HELLO, HELLO included, at most
    `window`; it is 0 after reset.

    - HELLO is always executed, whatever its number; it invalidates all stored answers and sets `executed` to
      1.
    - Otherwise a request with the next number is executed, if `executed` isn't 0: a board that was reset
      executes nothing before the next HELLO.
    - Otherwise a number among the last `executed` gets its stored answer again: command, status and payload.
    - Any other number is refused with BAD_SEQUENCE.

    With memory for samples, no frame is processed before the memory has been tested. If the test failed, the
    board behaves like one without memory: HELLO's answer lacks the capacity, and the memory's commands are
    BAD_COMMAND.

    A request that its executor refuses (BAD_ORDER or BAD_RANGE, for instance) counts as executed. The answer
    of a request is in slot `sequence mod window`; its execution doesn't begin while the framer may still send
    an older answer from that slot.

    Overlap. A sample may be taken (`SampleExecutor`): it then counts as executed, its frame buffer is
    released, and its answer follows later. While taken samples are unanswered, only another sample that has
    the next number and fits is started. Every other frame, also a refusal or a repetition, waits until all
    taken samples are answered and the core is idle. So answers keep the order of requests, and all other
    requests see the state that they would see if requests were executed one by one.

    Latency from `i.valid` to `o.valid`: 4 cycles and the executor's from `start` to `done`; 3 cycles for a
    repeated answer or BAD_SEQUENCE, 2 for another refusal. Latency of a taken sample from `finished` to
    `o.valid`: 2 cycles and the executor's from `say` to `done`. Waiting as described above comes first. The
    answer of a finished sample is sent as soon as the framer is ready, before the next frame is processed.
    Throughput: one request or answer at a time; the next one is processed while the framer sends.

    Parameters
    ----------
    identity : bytes
        Payload of HELLO's answer.
    window : int
        Link window, the number of stored answers: a power of two, 1..MAX_WINDOW.
    in_flight : int
        Maximum number of samples taken and not answered; limited to `window`, because each has an answer slot
        of its own.
    payloads : Mapping[Command, int]
        Payload bytes of each command's request, as in `protocol.PAYLOAD_BYTES`.
    frame_bytes : int
        Maximum bytes of a frame.
    stores : bool
        The board has memory for samples; ``identity`` ends with its capacity.

    Members
    -------
    i : In(stream.Signature(request_shape(frame_bytes)))
        Frames, from the deframer.
    o : Out(stream.Signature(Answer))
        To the framer, which is ready while it sends nothing.
    write, slot, address, data : Out
        Write port of the framer's payload memory, from registers.
    registers, weights : Out(Executor(frame_bytes)), samples : Out(SampleExecutor(frame_bytes))
        The executors; `EXECUTORS` has their commands.
    records, stored : Out(Executor()); tested, works : In(1)
        With memory for samples: the executors in `STORED_EXECUTORS`; the memory's test is over, and was
        passed.
    refused : Out(1)
        Strobe for each request that is refused or fails, but not for a repetition of its answer.
    status : Out(Status)
        Status of that request, in the cycle of ``refused``.
    repeated : Out(1)
        Strobe for each repeated answer.
    """

    def __init__(
        self,
        identity: bytes,
        window: int = WINDOW,
        in_flight: int = 1,
        payloads: Mapping[Command, int] = PAYLOAD_BYTES,
        frame_bytes: int = REQUEST_BYTES,
        stores: bool = False,
    ):
        if len(identity) > ANSWER_PAYLOAD:
            most = ANSWER_PAYLOAD
            raise ValueError(f"identity must have at most {most} bytes, not {len(identity)}")
        self.identity, self.window = identity, check_window(window)
        self.payloads = payloads
        #: Maximum number of samples taken and not answered.
        self.most_taken = min(in_flight, window)
        self.stores = stores
        #: Executors by name, with the commands that each executes.
        self.executors = EXECUTORS | (STORED_EXECUTORS if stores else {})
        super().__init__(
            {
                "i": In(stream.Signature(request_shape(frame_bytes))),
                "o": Out(stream.Signature(Answer)),
                "write": Out(1),
                "slot": Out(range(MAX_WINDOW)),
                "address": Out(range(ANSWER_BYTES)),
                "data": Out(8),
                "refused": Out(1),
                "status": Out(Status),
                "repeated": Out(1),
            }
            | {name: Out(Executor(frame_bytes)) for name in self.executors}
            | {"samples": Out(SampleExecutor(frame_bytes))}
            | (dict.fromkeys(("tested", "works"), In(1)) if stores else {})
        )

    def elaborate(self, platform):
        m = Module()
        request = self.i.payload
        why = self._legal(m)

        state = SequenceState(self.window, self.most_taken)
        state.compare(m, request)
        m.submodules.stored = stored = WrittenMemory(shape=Stored, depth=self.window)
        store, recall = stored.write_port(), stored.read_port(domain="comb")
        m.d.comb += [store.addr.eq(state.slot), recall.addr.eq(state.slot)]

        outcome = self._gather(m, state.slot)
        m.d.comb += self.status.eq(outcome.status)
        with m.FSM():
            self._check(m, why, state, outcome)
            self._sequence(m, state, outcome, recall.data)
            self._execute(m, state, outcome, store)
            self._say(m, state, outcome, recall.data)
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "CHECK"
        return m

    def _legal(self, m):
        """The status of the frame of the cycle before, except its number: OK, or the reason of a refusal."""
        request, why = self.i.payload, Signal(Status)
        known, right_length = Signal(), Signal()
        sizes = dict(self.payloads) | (STORED_PAYLOAD_BYTES if self.stores else {})
        with m.Switch(request.command):
            for command, size in sizes.items():
                with m.Case(command):
                    whole = REQUEST_HEADER + size + CRC_BYTES
                    legal = request.length >= whole if command in LONGER else request.length == whole
                    there = self.works if command in STORED_PAYLOAD_BYTES else 1
                    m.d.comb += [known.eq(there), right_length.eq(legal)]
        m.d.sync += why.eq(request.status)
        with m.If(request.status == Status.OK):
            with m.If(request.version != VERSION):
                m.d.sync += why.eq(Status.BAD_VERSION)
            with m.Elif(~known):
                m.d.sync += why.eq(Status.BAD_COMMAND)
            with m.Elif(~right_length):
                m.d.sync += why.eq(Status.BAD_LENGTH)
        return why

    def _gather(self, m, slot):
        """Writes the answer's payload byte by byte to the framer's memory, and keeps the executor's status.

        Only the executor that was started sends bytes. HELLO's payload is written here.
        """
        outcome = Outcome()
        length, executors = outcome.length, [getattr(self, name) for name in self.executors]
        said, identity = Signal(), Signal(8)
        with m.Switch(length):
            for n, byte in enumerate(self.identity):
                with m.Case(n):
                    m.d.comb += identity.eq(byte)
        m.d.sync += [outcome.done.eq(0), outcome.status.eq(Status.OK)]
        m.d.comb += said.eq(outcome.saying | Cat(e.o.valid for e in executors).any())
        m.d.sync += [self.slot.eq(slot), self.address.eq(length), self.write.eq(said), self.data.eq(identity)]
        for executor in executors:
            m.d.comb += executor.request.eq(self.i.payload)
            with m.If(executor.o.valid):
                m.d.sync += self.data.eq(executor.o.payload)
            with m.If(executor.done):
                m.d.sync += [outcome.done.eq(1), outcome.status.eq(executor.status)]
        with m.If(said):
            m.d.sync += length.eq(length + 1)
        return outcome

    def _reply(self, m, state, command, status, length):
        """Passes the answer to the framer."""
        answer = self.o.payload
        m.d.sync += [answer.sequence.eq(state.answered), answer.slot.eq(state.slot)]
        m.d.sync += [answer.command.eq(command), answer.status.eq(status), answer.length.eq(length)]
        m.next = "ANSWER"

    def _refuse(self, m, state, why):
        m.d.comb += [self.refused.eq(1), self.status.eq(why), self.i.ready.eq(1)]
        self._reply(m, state, self.i.payload.command, why, 0)

    def _store(self, m, store, command, status, length):
        """Stores the answer for repetitions."""
        m.d.comb += [
            store.en.eq(1),
            store.data.command.eq(command),
            store.data.status.eq(status),
            store.data.length.eq(length),
        ]

    def _count(self, m, state):
        """Counts the current request as executed, and releases its frame buffer."""
        m.d.comb += self.i.ready.eq(1)
        state.count(m, self.i.payload)

    def _check(self, m, why, state, outcome):
        """Sends a finished sample's answer, if there is one; else checks the frame, except its number."""
        with m.State("CHECK"):
            m.d.sync += [outcome.length.eq(0), state.answered.eq(self.i.payload.sequence)]
            # only while the framer is idle: it might be sending from the same slot. Waiting for it in ANSWER
            # instead would keep other samples from being started
            with m.If(self.samples.finished & self.o.ready):
                m.d.comb += self.samples.say.eq(1)
                m.d.sync += state.answered.eq(state.upcoming - state.taken)
                m.next = "SAY"
            with m.Elif(self.i.valid & self.tested if self.stores else self.i.valid):
                m.next = "JUDGE"
        with m.State("JUDGE"):
            m.next = "CHECK"
            with m.If(why == Status.OK):
                m.next = "SEQUENCE"
            with m.Elif(self.samples.idle):
                self._refuse(m, state, why)

    def _sequence(self, m, state, outcome, recalled):
        """Executes, repeats or refuses, by sequence number; with samples taken, only starts another one."""
        request, slot, beside = self.i.payload, state.slot, Signal()
        m.d.comb += beside.eq(state.following & self.samples.fits & (state.taken != self.most_taken))
        with m.State("SEQUENCE"):
            with m.If(~(self.samples.idle | beside)):
                m.next = "CHECK"  # which sends the answers of finished samples
            with m.Elif(state.hello | state.following):
                # `o.payload` still is the answer that the framer took last
                with m.If(self.o.ready | (self.o.payload.slot != slot)):
                    for name, commands in self.executors.items():
                        mine = Cat(request.command == c for c in commands).any()
                        m.d.comb += getattr(self, name).start.eq(mine)
                    m.d.sync += outcome.saying.eq(state.hello)
                    m.next = "EXECUTE"
            with m.Elif(state.recent):
                m.d.comb += [self.repeated.eq(1), self.i.ready.eq(1)]
                self._reply(m, state, recalled.command, recalled.status, recalled.length)
            with m.Else():
                self._refuse(m, state, Status.BAD_SEQUENCE)

    def _execute(self, m, state, outcome, store):
        """Waits for the executor, counts the request, and answers it unless it is a taken sample."""
        request, status = self.i.payload, outcome.status
        with m.State("EXECUTE"):
            last = len(self.identity) - 1
            if self.stores:
                last = Mux(self.works, last, last - VALUE_BYTES)
            with m.If(outcome.length == last):
                m.d.sync += outcome.saying.eq(0)
            with m.If(self.samples.taken):
                self._count(m, state)
                m.d.sync += state.taken.eq(state.taken + 1)
                # all of the answer except its payload, which can't be repeated before it has been sent
                self._store(m, store, request.command, Status.OK, Sampled.size())
                m.next = "CHECK"
            with m.Elif(outcome.done | (state.hello & ~outcome.saying)):
                answered = status == Status.OK
                if self.stores:
                    answered |= status == Status.BAD_IMAGE
                written = Mux(answered, outcome.length, 0)
                m.d.comb += self.refused.eq(status != Status.OK)
                self._count(m, state)
                self._store(m, store, request.command, status, written)
                self._reply(m, state, request.command, status, written)

    def _say(self, m, state, outcome, recalled):
        """Waits for the payload of the oldest taken sample's answer, and passes the answer on."""
        with m.State("SAY"):
            with m.If(outcome.done):
                m.d.sync += state.taken.eq(state.taken - 1)
                self._reply(m, state, recalled.command, recalled.status, recalled.length)


class Outcome:
    """The state of the current answer."""

    def __init__(self):
        #: Payload bytes written so far.
        self.length = Signal(range(ANSWER_PAYLOAD + 1))
        #: HELLO's answer is being written.
        self.saying = Signal()
        #: The executor's `done`, one cycle later.
        self.done = Signal()
        #: The executor's status.
        self.status = Signal(Status)
