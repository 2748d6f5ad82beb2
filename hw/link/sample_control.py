"""Executes INFER, TRAIN and COMMIT on the core."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.config import Config
from golden.contract.protocol import LABELS, REQUEST_HEADER, Command, Committed, Sample, Sampled, Status
from hw.core.interface import CoreSignature, Operation

from .interface import Executor, ReadPort

#: First pixel in a frame.
PIXELS_AT = REQUEST_HEADER + Sample.at("pixels")


class SampleControl(wiring.Component):
    """INFER, TRAIN and COMMIT. The core reads its pixels straight from the frame buffer.

    Order: `protocol.ORDER_RULES`; BAD_ORDER goes before BAD_RANGE (label above 9). `cycles` in an answer is the number of
    clock cycles for which the core was busy.

    Latency: the core's, 2 cycles before it and 1 + 5 (COMMIT: 6) after it. `cycles` wraps at 2^32.

    Members
    -------
    execute : In(Executor())
    buffer : Out(ReadPort())
        The frame buffer.
    batch, pending : In(7)
        Samples of a batch, samples since the last COMMIT.
    written : In(1)
        Weights are being written: until the next COMMIT, no samples.
    sampled : Out(1), trained : Out(1), mistaken : Out(1), committed : Out(1)
        One cycle each, when the core is done: after INFER or TRAIN; TRAIN; a prediction that isn't the label; COMMIT.
    start, operation, label, pixel : Out; busy, prediction, pixel_address : In
        As in `CoreSignature`.
    """

    def __init__(self, config: Config):
        core = CoreSignature(config).members
        ports = ("start", "operation", "label", "pixel", "busy", "prediction", "pixel_address")
        batch = config.spec.formats.max_batch.bit_length()
        super().__init__(
            {
                "execute": In(Executor()),
                "buffer": Out(ReadPort()),
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
        request, o = self.execute.request, self.execute.o
        label = request.arguments[:8]
        infer, train = Signal(), Signal()
        stale = Signal()  # the working weights aren't those last written
        cycles = Signal(32)
        longest = max(Sampled.size(), Committed.size())
        result, left = Signal(8 * longest), Signal(range(longest + 1))

        m.d.comb += [
            infer.eq(request.command == Command.INFER),
            train.eq(request.command == Command.TRAIN),
            self.operation.eq(Mux(infer, Operation.INFER, Mux(train, Operation.TRAIN, Operation.COMMIT))),
            self.label.eq(label[: len(self.label)]),
            self.pixel.eq(self.buffer.data),
            self.buffer.address.eq(self.pixel_address + PIXELS_AT),
            o.payload.eq(result[:8]),
        ]
        with m.If(self.committed):
            m.d.sync += stale.eq(0)
        with m.If(self.written):
            m.d.sync += stale.eq(1)

        def refuse(status):
            m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(status)]
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.execute.start):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += cycles.eq(0)
                with m.If((infer | train) & stale):
                    refuse(Status.BAD_ORDER)
                with m.Elif(train & (self.pending >= self.batch)):
                    refuse(Status.BAD_ORDER)
                with m.Elif((infer | train) & (label >= LABELS)):
                    refuse(Status.BAD_RANGE)
                with m.Else():
                    m.d.comb += self.start.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.sync += cycles.eq(cycles + 1)
                with m.If(~self.busy):
                    m.d.sync += cycles.eq(cycles)
                    m.next = "EMIT"
                    with m.If(infer | train):
                        m.d.comb += [self.sampled.eq(1), self.trained.eq(train)]
                        m.d.comb += self.mistaken.eq(self.prediction != self.label)
                        m.d.sync += [
                            result.eq((cycles << 8 * Sampled.at("cycles")) | self.prediction),
                            left.eq(Sampled.size()),
                        ]
                    with m.Else():
                        m.d.comb += self.committed.eq(1)
                        m.d.sync += [
                            result.eq((cycles << 8 * Committed.at("cycles")) | self.pending),
                            left.eq(Committed.size()),
                        ]
            with m.State("EMIT"):
                m.d.comb += o.valid.eq(1)
                m.d.sync += [result.eq(result >> 8), left.eq(left - 1)]
                with m.If(left == 1):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.execute.done.eq(1)
                m.next = "IDLE"
        return m
