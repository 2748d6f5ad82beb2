"""Executes INFER, TRAIN and COMMIT: the source of samples from the line."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    REQUEST_HEADER,
    Command,
    Committed,
    Label,
    Sampled,
    Status,
    request_bytes,
)
from nudge.hw.core.interface import Operation

from .interface import ReadPort, SampleExecutor, SampleSource

#: Address of the first pixel in a frame.
PIXELS_AT = REQUEST_HEADER + Label.size()

#: Bytes of the longer answer. The shorter one is padded with zeros in front, so that `cycles` has the same
#: position in both.
ANSWER_BYTES = max(Sampled.size(), Committed.size())


class LineSamples(wiring.Component):
    """Executes INFER, TRAIN and COMMIT. The core reads its pixels directly from the frame buffer.

    Refusals: BAD_ORDER by `SampleSource.refused`, then BAD_RANGE (no such class). A sample is taken when the
    core no longer needs its image; its result waits in the `Issuer` until it is sent. A COMMIT is executed
    alone. `cycles` of an answer is defined by `Sampled` and `Committed`.

    Latency of a sample: 2 cycles until it is offered; `taken` with its transfer; 6 cycles from `say` to
    `done`. Latency of a COMMIT: 2 cycles until it is offered, and 6 after its transfer.

    Members
    -------
    execute : In(SampleExecutor(request_bytes(config.spec)))
    buffer : Out(ReadPort(request_bytes(config.spec)))
        The frame buffer.
    issue : Out(SampleSource(config))
    """

    def __init__(self, config: Config):
        self.config, frame_bytes = config, request_bytes(config.spec)
        execute, buffer = SampleExecutor(frame_bytes), ReadPort(frame_bytes)
        super().__init__({"execute": In(execute), "buffer": Out(buffer), "issue": Out(SampleSource(config))})

    def elaborate(self, platform):
        m = Module()
        execute, issue = self.execute, self.issue
        order, request = issue.o.payload, execute.request
        sample, status = self._judge(m)
        committing = Signal()
        byte = Signal(range(ANSWER_BYTES))
        m.d.comb += [
            execute.idle.eq(issue.idle),
            execute.finished.eq(issue.result.valid),
            execute.o.payload.eq(self._answer(committing).word_select(byte, 8)),
            order.label.eq(request.arguments[: len(order.label)]),
            issue.count.eq(1),
            issue.pixel.eq(self.buffer.data),
            self.buffer.address.eq(issue.address + PIXELS_AT),
        ]
        m.d.sync += execute.fits.eq(sample & (status == Status.OK) & issue.room)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [committing.eq(0), byte.eq(ANSWER_BYTES - Sampled.size())]
                with m.If(execute.start):
                    m.next = "CHECK"
                with m.Elif(execute.say):
                    m.d.comb += issue.answers.eq(1)
                    m.next = "EMIT"
            with m.State("CHECK"):
                m.d.comb += issue.o.valid.eq(status == Status.OK)
                m.next = "OFFER"
                with m.If(status != Status.OK):
                    m.d.comb += [execute.done.eq(1), execute.status.eq(status)]
                    m.next = "IDLE"
            with m.State("OFFER"):
                m.d.comb += [issue.o.valid.eq(1), execute.taken.eq(issue.o.ready & sample)]
                m.d.sync += [committing.eq(~sample), byte.eq(ANSWER_BYTES - Committed.size())]
                with m.If(issue.o.ready):
                    m.next = "EMIT"
                    with m.If(sample):
                        m.next = "IDLE"
            with m.State("EMIT"):
                m.d.comb += execute.o.valid.eq(1)
                m.d.sync += byte.eq(byte + 1)
                with m.If(byte == ANSWER_BYTES - 1):
                    m.d.comb += issue.result.ready.eq(1)
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += execute.done.eq(1)
                m.next = "IDLE"
        return m

    def _judge(self, m):
        """Returns whether the request offered is a sample, and its status: OK, or that of a refusal."""
        request, sample, status = self.execute.request, Signal(), Signal(Status, name="judged")
        train = request.command == Command.TRAIN
        m.d.comb += [
            sample.eq(train | (request.command == Command.INFER)),
            self.issue.o.payload.operation.eq(
                Mux(train, Operation.TRAIN, Mux(sample, Operation.INFER, Operation.COMMIT))
            ),
        ]
        with m.If(self.issue.refused):
            m.d.comb += status.eq(Status.BAD_ORDER)
        with m.Elif(sample & (request.arguments[:8] >= self.config.spec.classes)):
            m.d.comb += status.eq(Status.BAD_RANGE)
        return sample, status

    def _answer(self, committing):
        """The payload of the answer, behind zeros if it is the shorter one."""
        result = self.issue.result.payload

        def padded(payload, name):
            return result.value << 8 * (ANSWER_BYTES - payload.size() + payload.at(name))

        first = Mux(committing, padded(Committed, "samples"), padded(Sampled, "prediction"))
        assert ANSWER_BYTES - Sampled.size() + Sampled.at("cycles") == Committed.at("cycles")
        return Cat(first[: 8 * Committed.at("cycles")], result.cycles)
