"""Executes INFER, TRAIN and COMMIT on the core; samples overlap."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import REQUEST_HEADER, Command, Committed, Label, Sampled, Status, request_bytes
from nudge.hw.core.interface import CoreSignature, Operation, label_bits, samples_in_flight

from .interface import ReadPort, SampleExecutor

#: Address of the first pixel in a frame.
PIXELS_AT = REQUEST_HEADER + Label.size()

#: Bytes of the longer answer. The shorter one is padded with zeros in front, so that `cycles` has the same
#: position in both.
ANSWER_BYTES = max(Sampled.size(), Committed.size())


def result(config: Config):
    """Layout of a result; a COMMIT uses only ``cycles``. mistaken: the prediction isn't the label."""
    return data.StructLayout({"prediction": label_bits(config), "mistaken": 1, "cycles": 32})


def stale_weights(m, written, committed):
    """High after a write to the masters until the next COMMIT. written, committed: as in `SampleControl`."""
    stale = Signal(name="stale")
    with m.If(committed):
        m.d.sync += stale.eq(0)
    with m.If(written):
        m.d.sync += stale.eq(1)
    return stale


class SampleControl(wiring.Component):
    """Executes INFER, TRAIN and COMMIT. The core reads its pixels directly from the frame buffer.

    Refusals: BAD_ORDER by `protocol.ORDER_RULES`, then BAD_RANGE (no such class). A sample is taken when the
    core no longer needs its image. At most `samples_in_flight` samples are taken and unanswered; their
    results wait here, in order, until they are sent. A COMMIT is executed alone. `cycles` of an answer is
    defined by `Sampled` and `Committed`.

    Latency of a sample: 2 cycles to the core's `start`, if the core is ready; `taken` in the first cycle
    without `holding`; `finished` in the cycle after the core's `done`; 6 cycles from `say` to `done`. Latency
    of a COMMIT: the core's, 2 cycles before it and 1 + 6 after it.

    Members
    -------
    execute : In(SampleExecutor(request_bytes(config.spec)))
    buffer : Out(ReadPort(request_bytes(config.spec)))
        The frame buffer.
    batch, pending : In(7)
        Batch size; trained samples since the last COMMIT, in which `trained` is included in the next cycle.
    written : In(1)
        Weights are being written: samples are refused until the next COMMIT.
    trained : Out(1)
        Strobe when the core starts a TRAIN, so that samples in flight count towards the batch size.
    sampled : Out(1), mistaken : Out(1)
        Strobes when an answer to INFER or TRAIN is sent, and when the prediction in it isn't the label. They
        don't come with the core's `done`, because `Counters` would miss one of two that come in quick
        succession.
    committed : Out(1)
        Strobe in the cycle of a COMMIT's `done`.
    start, operation, label, pixel : Out; ready, holding, done, busy, prediction, pixel_address : In
        As in `CoreSignature`.
    """

    def __init__(self, config: Config):
        core, frame_bytes = CoreSignature(config).members, request_bytes(config.spec)
        self.config = config
        ports = ("start", "operation", "label", "pixel", "ready", "holding", "done", "busy", "prediction", "pixel_address")
        batch = config.spec.formats.max_batch.bit_length()
        #: Maximum number of samples taken and unanswered.
        self.in_flight = samples_in_flight(config)
        super().__init__(
            {
                "execute": In(SampleExecutor(frame_bytes)),
                "buffer": Out(ReadPort(frame_bytes)),
                "batch": In(batch),
                "pending": In(batch),
                "written": In(1),
                "sampled": Out(1),
                "trained": Out(1),
                "mistaken": Out(1),
                "committed": Out(1),
            }
            | {name: core[name].flip() for name in ports}
        )

    def elaborate(self, platform):
        m = Module()
        request = self.execute.request
        train = request.command == Command.TRAIN
        sample, status = self._judge(m, train)
        # labels of the samples in the core, results of those that it has finished
        m.submodules.labels = labels = SyncFIFO(width=len(self.label), depth=self.in_flight)
        shape = result(self.config)
        m.submodules.results = results = SyncFIFO(width=shape.size, depth=self.in_flight)
        found, oldest = shape(results.w_data), shape(results.r_data)
        inside = Signal(range(self.in_flight + 1))
        waiting = Signal(range(self.in_flight + 1))
        under_way = inside + waiting
        room = Signal()
        committing = Signal()
        byte = Signal(range(ANSWER_BYTES))
        m.d.comb += [
            inside.eq(labels.level),
            waiting.eq(results.level),
            room.eq(self.ready & (under_way < self.in_flight)),
            self.execute.idle.eq((under_way == 0) & ~self.busy),
            self.execute.finished.eq(results.r_rdy),
            self.operation.eq(Mux(train, Operation.TRAIN, Mux(sample, Operation.INFER, Operation.COMMIT))),
            self.label.eq(request.arguments[: len(self.label)]),
            self.pixel.eq(self.buffer.data),
            self.buffer.address.eq(self.pixel_address + PIXELS_AT),
            labels.w_data.eq(self.label),
            labels.w_en.eq(self.start & sample),
            labels.r_en.eq(self.done),
            found.prediction.eq(self.prediction),
            found.mistaken.eq(self.prediction != labels.r_data),
            found.cycles.eq(self._cycles(m, labels.r_rdy, sample)),
            results.w_en.eq(self.done),
            self.execute.o.payload.eq(self._answer(oldest, committing).word_select(byte, 8)),
        ]
        m.d.sync += self.execute.fits.eq(sample & (status == Status.OK) & room)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [committing.eq(0), byte.eq(ANSWER_BYTES - Sampled.size())]
                with m.If(self.execute.start):
                    m.next = "CHECK"
                with m.Elif(self.execute.say):
                    m.d.comb += [self.sampled.eq(1), self.mistaken.eq(oldest.mistaken)]
                    m.next = "EMIT"
            with m.State("CHECK"):
                with m.If(status != Status.OK):
                    m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(status)]
                    m.next = "IDLE"
                with m.Elif(~sample):
                    m.d.comb += self.start.eq(1)
                    m.next = "RUN"
                with m.Elif(room):
                    m.d.comb += [self.start.eq(1), self.trained.eq(train)]
                    m.next = "HOLD"
            with m.State("HOLD"):
                with m.If(~self.holding):
                    m.d.comb += self.execute.taken.eq(1)
                    m.next = "IDLE"
            with m.State("RUN"):
                m.d.sync += [committing.eq(1), byte.eq(ANSWER_BYTES - Committed.size())]
                with m.If(~self.busy):
                    m.d.comb += results.w_en.eq(1)
                    m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += self.execute.o.valid.eq(1)
                m.d.sync += byte.eq(byte + 1)
                with m.If(byte == ANSWER_BYTES - 1):
                    m.d.comb += results.r_en.eq(1)
                    m.next = "DONE"
            with m.State("DONE"):
                # not earlier: the answer has `pending`, which `committed` sets to 0
                m.d.comb += [self.execute.done.eq(1), self.committed.eq(committing)]
                m.next = "IDLE"
        return m

    def _judge(self, m, train):
        """Returns whether the request offered is a sample, and its status: OK, or that of a refusal."""
        request, sample, status = self.execute.request, Signal(), Signal(Status, name="judged")
        stale = stale_weights(m, self.written, self.committed)
        m.d.comb += sample.eq(train | (request.command == Command.INFER))
        with m.If(sample & (stale | (train & (self.pending >= self.batch)))):
            m.d.comb += status.eq(Status.BAD_ORDER)
        with m.Elif(sample & (request.arguments[:8] >= self.config.spec.classes)):
            m.d.comb += status.eq(Status.BAD_RANGE)
        return sample, status

    def _cycles(self, m, under_way, sample):
        """Cycles since the sample before was done, or since the start if none was in flight, inclusive."""
        cycles = Signal(32)
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(self.start & ~under_way):
            # a COMMIT begins with 0, because its end is noticed one cycle late
            m.d.sync += cycles.eq(sample)
        with m.If(self.done):
            m.d.sync += cycles.eq(1)
        return cycles

    def _answer(self, oldest, committing):
        """The payload of the answer, behind zeros if it is the shorter one."""

        def padded(value, payload, name):
            before = 8 * (ANSWER_BYTES - payload.size() + payload.at(name))
            return value << before

        first = Mux(committing, padded(self.pending, Committed, "samples"), padded(oldest.prediction, Sampled, "prediction"))
        assert ANSWER_BYTES - Sampled.size() + Sampled.at("cycles") == Committed.at("cycles")
        return Cat(first[: 8 * Committed.at("cycles")], oldest.cycles)
