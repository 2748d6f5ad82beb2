"""Executes TRAIN_STORED and INFER_STORED: samples of the store, on the core."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.contract.config import Config
from golden.contract.protocol import (
    ASKED_BYTES,
    CRC_BYTES,
    MAX_ASKED,
    REQUEST_HEADER,
    REQUEST_PAYLOAD,
    VALUE_BYTES,
    Command,
    Status,
)
from golden.contract.stored import MAX_MOVE, ImageStatus
from hw.core.interface import CoreSignature, Operation, samples_in_flight
from hw.memory.interface import Store

from .frame_bytes import FrameBytes
from .interface import Executor, ReadPort
from .sample_control import stale_weights

#: Cycles between two samples that are counted, at least: `Counters` misses one of two that come at once.
PAUSE = 128


class StoredSamples(wiring.Component):
    """TRAIN_STORED and INFER_STORED. The samples of a request overlap with each other; the core rests before and behind it. A
    TRAIN_STORED ends with a COMMIT.

    Checked in this order, before the first one starts: BAD_ORDER (weights not committed, a batch that would get too many),
    BAD_RANGE (half a sample, too many, one that is moved too far), NOT_STORED. BAD_RANGE and NOT_STORED of the first sample
    that has either. BAD_IMAGE: a sample was damaged; those before it are done and answered, those behind it aren't started,
    and nothing is committed.

    Latency: 12 cycles for each sample that is checked, then the core's; fetched are two samples ahead.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
    batch, pending, written, trained, sampled, mistaken
        As of `SampleControl`.
    committed : In(1)
        One cycle at the end of a COMMIT that is a request.
    commits : Out(1)
        One cycle at the end of that of a TRAIN_STORED.
    active : Out(1)
        The core is used from here.
    start, operation, label, pixel : Out; ready, holding, done, busy, prediction, pixel_address : In
        As in `CoreSignature`.
    move, found, count, address, image_pixel
        As in `Store`, from the other side; ``image_pixel`` is its ``pixel``.
    """

    def __init__(self, config: Config):
        core, store = CoreSignature(config).members, Store().members
        ports = ("start", "operation", "label", "pixel", "ready", "holding", "done", "busy", "prediction", "pixel_address")
        batch = config.spec.formats.max_batch.bit_length()
        #: Samples in the core, at most.
        self.in_flight = samples_in_flight(config)
        outputs = dict.fromkeys(("trained", "sampled", "mistaken", "commits", "active"), Out(1))
        super().__init__(
            {"execute": In(Executor()), "buffer": Out(ReadPort()), "batch": In(batch), "pending": In(batch)}
            | {"written": In(1), "committed": In(1), "image_pixel": store["pixel"].flip()}
            | outputs
            | {name: core[name].flip() for name in ports}
            | {name: store[name].flip() for name in ("move", "found", "count", "address")}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bytes = frame = FrameBytes()
        connect(m, frame.buffer, flipped(self.buffer))
        request, execute = self.execute.request, self.execute
        run = Run()
        train = request.command == Command.TRAIN_STORED
        size = request.length - (REQUEST_HEADER + CRC_BYTES)
        stale = stale_weights(m, self.written, self.committed)
        self._parse(m, frame, run)
        inside, answered = self._core(m, run, train)
        tail, left = Signal(8 * VALUE_BYTES), Signal(range(VALUE_BYTES + 1))
        full, working = Signal(), Signal()
        m.d.comb += self.active.eq(working)
        m.d.sync += full.eq(self.pending + run.samples > self.batch)

        def finish(status):
            m.d.comb += [execute.done.eq(1), execute.status.eq(status)]
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [run.samples.eq(size >> 2), run.read.eq(0), run.fed.eq(0), run.taken.eq(0), run.ended.eq(0)]
                m.d.sync += run.cycles.eq(0)
                with m.If(execute.start):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.next = "ORDER"
            with m.State("ORDER"):
                m.d.comb += run.seek.eq(1)
                m.next = "CHECK"
                with m.If(stale | (train & full)):
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
                    m.d.sync += run.read.eq(run.read + 1)
                    with m.If(run.read == run.samples - 1):
                        m.d.comb += run.seek.eq(1)
                        m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [working.eq(1), self.move.valid.eq(run.whole & (run.fed != run.samples) & ~run.stop)]
                m.d.comb += run.next.eq(self.move.valid & self.move.ready)
                with m.If(run.next):
                    m.d.sync += run.fed.eq(run.fed + 1)
                over = (run.taken == run.samples) | (run.ended & (run.taken == run.fed) & ~self.move.valid)
                m.d.sync += [tail.eq(run.cycles), left.eq(VALUE_BYTES)]
                with m.If(over & (inside == 0) & answered):
                    m.next = "TAIL"
                    with m.If(train & ~run.ended):
                        m.next = "REST"
            with m.State("REST"):
                m.d.comb += [working.eq(1), run.commit.eq(~self.busy)]
                with m.If(run.commit):
                    m.next = "COMMIT"
            with m.State("COMMIT"):
                m.d.comb += working.eq(1)
                m.d.sync += [run.cycles.eq(run.cycles + 1), tail.eq(run.cycles)]
                with m.If(~self.busy):
                    m.d.comb += self.commits.eq(1)
                    m.next = "TAIL"
            with m.State("TAIL"):
                m.d.comb += [execute.o.valid.eq(1), execute.o.payload.eq(tail[:8])]
                m.d.sync += [tail.eq(tail >> 8), left.eq(left - 1)]
                with m.If(left == 1):
                    m.next = "DONE"
            with m.State("DONE"):
                finish(Mux(run.ended, Status.BAD_IMAGE, Status.OK))
        return m

    def _parse(self, m, frame, run):
        """One sample of the frame after the other; what is offered as a move stays, even if it isn't wanted any longer."""
        move = self.move.payload
        dy, dx = run.word[24:28].as_signed(), run.word[28:32].as_signed()
        offered = Signal()
        m.d.sync += offered.eq(self.move.valid & ~self.move.ready)
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

    def _core(self, m, run, train):
        """Images that were found to the core, what it predicts to the answer; how many it has, and whether all is said."""
        found, execute = self.found, self.execute
        # labels of samples that the core has; what it found of those that it had, and whether that was wrong
        m.submodules.labels = labels = SyncFIFO(width=len(self.label), depth=self.in_flight)
        m.submodules.results = results = SyncFIFO(width=len(self.prediction) + 1, depth=self.in_flight)
        pause, holding, room = Signal(range(PAUSE + 1)), Signal(), Signal()
        bad, begin = found.payload.status != ImageStatus.OK, Signal()
        m.d.comb += [
            room.eq(self.ready & (labels.level + results.level < self.in_flight)),
            self.label.eq(found.payload.label),
            self.start.eq(begin | run.commit),
            self.operation.eq(Mux(run.commit, Operation.COMMIT, Mux(train, Operation.TRAIN, Operation.INFER))),
            self.address.eq(self.pixel_address),
            self.pixel.eq(self.image_pixel),
            labels.w_data.eq(self.label),
            labels.w_en.eq(begin),
            labels.r_en.eq(self.done & self.active),
            results.w_data.eq(Cat(self.prediction, self.prediction != labels.r_data)),
            results.w_en.eq(self.done & self.active),
            self.trained.eq(begin & train),
        ]
        with m.If(self.active & found.valid & ~holding):
            with m.If(run.ended | bad):
                m.d.comb += found.ready.eq(1)
                m.d.sync += run.ended.eq(1)
            with m.Elif(room):
                m.d.comb += begin.eq(1)
                m.d.sync += holding.eq(1)
        with m.If(holding & ~self.holding):
            m.d.comb += found.ready.eq(1)
            m.d.sync += holding.eq(0)
        with m.If(found.valid & found.ready):
            m.d.sync += run.taken.eq(run.taken + 1)
        with m.If(labels.level != 0):
            m.d.sync += run.cycles.eq(run.cycles + 1)
        with m.If(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        with m.Elif(results.r_rdy):
            prediction, mistaken = results.r_data[:-1], results.r_data[-1]
            m.d.comb += [
                results.r_en.eq(1),
                execute.o.valid.eq(1),
                execute.o.payload.eq(prediction),
                self.sampled.eq(1),
                self.mistaken.eq(mistaken),
            ]
            m.d.sync += pause.eq(PAUSE)
        return labels.level, ~results.r_rdy & (pause == 0)


class Run:
    """How far a request is."""

    def __init__(self):
        count = range(REQUEST_PAYLOAD)
        #: Samples in it; checked; given to the store; taken from it, damaged ones too.
        self.samples, self.read = Signal(count), Signal(count, name="read")
        self.fed, self.taken = Signal(count), Signal(count, name="taken")
        #: A damaged one was found.
        self.ended = Signal()
        #: Cycles in which the core had any, or committed.
        self.cycles = Signal(32)
        #: The COMMIT starts.
        self.commit = Signal()
        #: The sample at hand: bytes of it, whether all are there, which it is, whether it is moved too far.
        self.word, self.bytes = Signal(32), Signal(range(ASKED_BYTES + 1), name="bytes")
        self.whole, self.index, self.far = Signal(), Signal(23, name="index"), Signal(name="far")
        #: On to the next one; back to the first; no further one is given to the store.
        self.next, self.seek, self.stop = Signal(), Signal(name="seek"), Signal(name="stop")
