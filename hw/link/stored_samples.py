"""Executes TRAIN_STORED and INFER_STORED: runs stored samples on the core."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
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
from nudge.hw.core.interface import CoreSignature, Operation, samples_in_flight
from nudge.hw.memory.interface import Store

from .frame_bytes import FrameBytes
from .interface import Executor, ReadPort
from .sample_control import stale_weights

#: Minimum number of cycles between two counted samples: `Counters` may miss the second of two close events.
PAUSE = 128


class StoredSamples(wiring.Component):
    """Executes TRAIN_STORED and INFER_STORED.

    The samples of one request overlap in the core, which is idle before and after the request. A TRAIN_STORED
    ends with a COMMIT.

    Before the first sample starts, these are checked in order: BAD_ORDER (weights not committed, more samples
    than the batch has room for), BAD_RANGE (part of an entry, too many entries), then entry by entry
    BAD_RANGE (moved too far) and NOT_STORED. BAD_IMAGE: a sample is damaged; those before it are done and
    answered, those after it aren't started, and nothing is committed.

    Latency: 12 cycles for each sample that is checked, then the core's. Two images are fetched ahead.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
    batch, pending, written, trained, sampled, mistaken
        As in `SampleControl`.
    committed : In(1)
        Strobe at the end of a COMMIT request.
    commits : Out(1)
        Strobe at the end of the COMMIT of a TRAIN_STORED.
    active : Out(1)
        High while this block controls the core.
    start, operation, label, pixel : Out; ready, holding, done, busy, prediction, pixel_address : In
        As in `CoreSignature`.
    move, found, count, address, image_pixel
        The other side of the members of `Store`; ``image_pixel`` is its ``pixel``.
    """

    def __init__(self, config: Config):
        core, store = CoreSignature(config).members, Store().members
        ports = ("start", "operation", "label", "pixel", "ready", "holding", "done", "busy", "prediction", "pixel_address")
        batch = config.spec.formats.max_batch.bit_length()
        #: Maximum number of samples in the core.
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
        """Reads the frame's entries one by one; keeps an offered move until it is taken, damage or not."""
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
        """Starts the core on fetched images and answers its predictions.

        Returns the number of samples in the core, and a signal that is high when no prediction is waiting and
        the last `PAUSE` is over.
        """
        found, execute = self.found, self.execute
        # labels of the samples in the core; prediction of each that is done, and whether it is wrong
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
    """Progress of a request."""

    def __init__(self):
        count = range(REQUEST_PAYLOAD)
        #: Samples in the request; checked; requested from the store; received from it, damaged ones included.
        self.samples, self.read = Signal(count), Signal(count, name="read")
        self.fed, self.taken = Signal(count), Signal(count, name="taken")
        #: A damaged sample was received.
        self.ended = Signal()
        #: Cycles in which the core had a sample or executed the COMMIT.
        self.cycles = Signal(32)
        #: Strobe that starts the COMMIT.
        self.commit = Signal()
        #: The current entry and its number of bytes so far; whether it is complete; its index; whether its
        #: move is too far.
        self.word, self.bytes = Signal(32), Signal(range(ASKED_BYTES + 1), name="bytes")
        self.whole, self.index, self.far = Signal(), Signal(23, name="index"), Signal(name="far")
        #: Strobes: to the next entry, back to the first one; no further sample is requested from the store.
        self.next, self.seek, self.stop = Signal(), Signal(name="seek"), Signal(name="stop")
