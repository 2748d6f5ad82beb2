"""Executes TRAIN_STORED and INFER_STORED: the source of stored samples."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    CRC_BYTES,
    MAX_ASKED,
    REQUEST_HEADER,
    REQUEST_PAYLOAD,
    VALUE_BYTES,
    Command,
    Status,
)
from nudge.golden.contract.stored import MAX_MOVE, ImageStatus
from nudge.hw.core.interface import Operation
from nudge.hw.memory.interface import Store

from .frame_bytes import FrameBytes
from .interface import Executor, ReadPort, SampleSource

#: Minimum number of cycles between two counted samples: `Counters` may miss the second of two close events.
PAUSE = 128


class StoredSamples(wiring.Component):
    """Executes TRAIN_STORED and INFER_STORED.

    The samples of one request overlap in the core, which is idle before and after the request. A TRAIN_STORED
    ends with a COMMIT.

    Before the first sample starts, these are checked in order: BAD_ORDER (`SampleSource.refused`), BAD_RANGE
    (part of an entry, too many entries), then entry by entry BAD_RANGE (moved too far) and NOT_STORED.
    BAD_IMAGE: a sample is damaged; those before it are done and answered, those after it aren't started, and
    nothing is committed.

    Latency: 12 cycles for each sample that is checked, then the core's. Two images are fetched ahead.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
    issue : Out(SampleSource(config))
    move, found, count, address, pixel
        The other side of the members of `Store`.
    """

    def __init__(self, config: Config):
        self.config, store = config, Store().members
        super().__init__(
            {"execute": In(Executor()), "buffer": Out(ReadPort()), "issue": Out(SampleSource(config))}
            | {name: store[name].flip() for name in ("move", "found", "count", "address", "pixel")}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = frame = FrameBytes()
        connect(m, frame.buffer, flipped(self.buffer))
        request, execute, issue, run = self.execute.request, self.execute, self.issue, Run()
        train = request.command == Command.TRAIN_STORED
        size = request.length - (REQUEST_HEADER + CRC_BYTES)
        self._parse(m, frame, run)
        left = Signal(range(VALUE_BYTES + 1))
        calm = Signal()
        sample = Mux(train, Operation.TRAIN, Operation.INFER)
        m.d.comb += [
            issue.count.eq(run.samples),
            issue.o.payload.operation.eq(Mux(run.commit, Operation.COMMIT, sample)),
            issue.o.payload.label.eq(self.found.payload.label),
            issue.pixel.eq(self.pixel),
            self.address.eq(issue.address),
        ]
        with m.If(issue.result.valid & issue.result.ready):
            m.d.sync += run.cycles.eq(run.cycles + issue.result.payload.cycles)

        def finish(status):
            m.d.comb += [execute.done.eq(1), execute.status.eq(status)]
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [run.samples.eq(size >> 2), run.unchecked.eq(size >> 2)]
                m.d.sync += [x.eq(0) for x in (run.fed, run.taken, run.ended, run.cycles)]
                m.d.sync += left.eq(VALUE_BYTES)
                with m.If(execute.start):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.next = "ORDER"
            with m.State("ORDER"):
                m.d.comb += run.seek.eq(1)
                m.next = "CHECK"
                with m.If(issue.refused):
                    finish(Status.BAD_ORDER)
                with m.Elif((size[:2] != 0) | (run.samples > MAX_ASKED)):
                    finish(Status.BAD_RANGE)
            with m.State("CHECK"):
                m.d.comb += run.next.eq(run.whole)
                with m.If(run.whole & run.far):
                    finish(Status.BAD_RANGE)
                with m.Elif(run.whole & (run.index >= self.count)):
                    finish(Status.NOT_STORED)
                with m.Elif(run.whole):
                    m.d.sync += run.unchecked.eq(run.unchecked - 1)
                    with m.If(run.unchecked == 1):
                        m.d.comb += run.seek.eq(1)
                        m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.move.valid.eq(run.whole & run.more & ~run.stop)
                m.d.comb += run.next.eq(self.move.valid & self.move.ready)
                with m.If(run.next):
                    m.d.sync += run.fed.eq(run.fed + 1)
                self._offer(m, run)
                self._answer(m, calm)
                over = (run.taken == run.samples) | (run.ended & (run.taken == run.fed) & ~self.move.valid)
                with m.If(over & issue.idle & calm):
                    m.next = "TAIL"
                    with m.If(train & ~run.ended):
                        m.next = "COMMIT"
            with m.State("COMMIT"):
                m.d.comb += [run.commit.eq(1), issue.o.valid.eq(1)]
                with m.If(issue.o.ready):
                    m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += issue.result.ready.eq(1)
                m.next = "TAIL"
            with m.State("TAIL"):
                m.d.comb += [execute.o.valid.eq(1), execute.o.payload.eq(run.cycles[:8])]
                m.d.sync += [run.cycles.eq(run.cycles >> 8), left.eq(left - 1)]
                with m.If(left == 1):
                    m.next = "DONE"
            with m.State("DONE"):
                finish(Mux(run.ended, Status.BAD_IMAGE, Status.OK))
        return m

    def _parse(self, m, frame, run):
        """Reads the frame's entries one by one; keeps an offered move until it is taken, damage or not."""
        move = self.move.payload
        dy, dx = run.word[24:28].as_signed(), run.word[28:32].as_signed()
        offered = Signal()
        m.d.sync += [offered.eq(self.move.valid & ~self.move.ready), run.more.eq(run.fed != run.samples)]
        m.d.comb += [
            frame.seek.eq(run.seek),
            frame.place.eq(REQUEST_HEADER),
            frame.o.ready.eq(~run.whole),
            run.whole.eq(run.bytes == ASKED_BYTES),
            run.index.eq(run.word[:23]),
            run.far.eq((dy > MAX_MOVE) | (dy < -MAX_MOVE) | (dx > MAX_MOVE) | (dx < -MAX_MOVE)),
            run.stop.eq(run.ended & ~offered),
            move.index.eq(run.word),
            move.mirrored.eq(run.word[23]),
            move.dy.eq(dy),
            move.dx.eq(dx),
        ]
        with m.If(frame.o.valid & frame.o.ready):
            m.d.sync += [run.word.eq(Cat(run.word[8:], frame.o.payload)), run.bytes.eq(run.bytes + 1)]
        with m.If(run.next | run.seek):
            m.d.sync += run.bytes.eq(0)

    def _offer(self, m, run):
        """Offers the images fetched; drops a damaged one and all behind it."""
        found, issue = self.found, self.issue
        with m.If(found.valid & (run.ended | (found.payload.status != ImageStatus.OK))):
            m.d.comb += found.ready.eq(1)
            m.d.sync += run.ended.eq(1)
        with m.Elif(found.valid):
            m.d.comb += [issue.o.valid.eq(1), found.ready.eq(issue.o.ready)]
        with m.If(found.valid & found.ready):
            m.d.sync += run.taken.eq(run.taken + 1)

    def _answer(self, m, calm):
        """Answers the predictions; ``calm``: the last `PAUSE` is over."""
        pause, execute, result = Signal(range(PAUSE + 1), name="pause"), self.execute, self.issue.result
        m.d.comb += calm.eq(pause == 0)
        with m.If(~calm):
            m.d.sync += pause.eq(pause - 1)
        with m.Elif(result.valid):
            m.d.comb += [result.ready.eq(1), self.issue.answers.eq(1)]
            m.d.comb += [execute.o.valid.eq(1), execute.o.payload.eq(result.payload.value)]
            m.d.sync += pause.eq(PAUSE)


class Run:
    """Progress of a request."""

    def __init__(self):
        count = range(REQUEST_PAYLOAD)
        #: Samples in the request; not yet checked; requested from the store; received from it, damaged ones
        #: included.
        self.samples, self.unchecked = Signal(count), Signal(count, name="unchecked")
        self.fed, self.taken = Signal(count), Signal(count, name="taken")
        #: There were samples left to request in the cycle before.
        self.more = Signal(name="more")
        #: A damaged sample was received.
        self.ended = Signal()
        #: Cycles in which the core had a sample or executed the COMMIT.
        self.cycles = Signal(32)
        #: The COMMIT is offered.
        self.commit = Signal()
        #: The current entry and its number of bytes so far; whether it is complete; its index; whether its
        #: move is too far.
        self.word, self.bytes = Signal(32), Signal(range(ASKED_BYTES + 1), name="bytes")
        self.whole, self.index, self.far = Signal(), Signal(23, name="index"), Signal(name="far")
        #: Strobes: to the next entry, back to the first one; no further sample is requested from the store.
        self.next, self.seek, self.stop = Signal(), Signal(name="seek"), Signal(name="stop")
