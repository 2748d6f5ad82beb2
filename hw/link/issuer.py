"""Issues operations to the core for the sources of samples: order rules, labels, results, cycles."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.config import Config
from nudge.hw.core.interface import CoreSignature, Operation, samples_in_flight

from .interface import SampleSource, result


class Issuer(wiring.Component):
    """Starts the operations that its sources offer, as soon as the core allows it, and keeps their results.

    At most one source offers an operation or takes results at a time: the decoder executes one request at a
    time, and starts a request for another source only while `idle`. At most `samples_in_flight` samples are
    in the core or have a result here. A COMMIT may be offered only while there is no such sample.

    Order rules (`protocol.ORDER_RULES`), for all sources: a sample is refused from a write to the masters
    until the next COMMIT, and a TRAIN also if the batch has no room for all samples of its request.

    Latency: an operation starts in the cycle in which it is offered, if the core is ready. A result is
    available in the cycle after the core's `done`, that of a COMMIT in the second cycle after `busy`.

    Members
    -------
    sources : In(SampleSource(config)) x ``sources``
    batch, pending : In
        Batch size; trained samples since the last COMMIT, in which `trained` is included in the next cycle.
    written : In(1)
        The masters are being written.
    trained : Out(1)
        Strobe when the core starts a TRAIN, so that samples in flight count towards the batch size.
    sampled : Out(1), mistaken : Out(1)
        Strobes when a source answers a sample, and when the prediction isn't its label. They don't come with
        the core's `done`, because `Counters` would miss one of two that come in quick succession.
    committed : Out(1)
        Strobe at the end of a COMMIT.
    start, operation, label, pixel : Out; ready, holding, done, busy, prediction, pixel_address : In
        As in `CoreSignature`.
    """

    def __init__(self, config: Config, sources: int = 1):
        core = CoreSignature(config).members
        self.config = config
        ports = (
            "start",
            "operation",
            "label",
            "pixel",
            "ready",
            "holding",
            "done",
            "busy",
            "prediction",
            "pixel_address",
        )
        batch = config.spec.formats.max_batch.bit_length()
        #: Maximum number of samples that are started and not answered.
        self.in_flight = samples_in_flight(config)
        super().__init__(
            {"sources": In(SampleSource(config)).array(sources)}
            | {"batch": In(batch), "pending": In(batch), "written": In(1)}
            | dict.fromkeys(("trained", "sampled", "mistaken", "committed"), Out(1))
            | {name: core[name].flip() for name in ports}
        )

    def elaborate(self, platform):
        m = Module()
        # labels of the samples in the core, results of those that it has finished and of a COMMIT
        m.submodules.labels = labels = SyncFIFO(width=len(self.label), depth=self.in_flight)
        shape = result(self.config)
        m.submodules.results = results = SyncFIFO(width=shape.size, depth=self.in_flight)
        found, oldest = shape(results.w_data), shape(results.r_data)
        under_way, commit = labels.level + results.level, self.operation == Operation.COMMIT
        offered, room, over = Signal(name="offered"), Signal(name="room"), Signal()
        self._judge(m)
        m.d.comb += [
            offered.eq(Cat(source.o.valid for source in self.sources).any()),
            room.eq(self.ready & (under_way < self.in_flight)),
            labels.w_data.eq(self.label),
            labels.w_en.eq(self.start & ~commit),
            labels.r_en.eq(self.done),
            found.value.eq(Mux(self.committed, self.pending, self.prediction)),
            found.mistaken.eq(self.prediction != labels.r_data),
            found.cycles.eq(self._cycles(m, labels.r_rdy, ~commit)),
            results.w_en.eq(self.done | self.committed),
        ]
        for number, source in enumerate(self.sources):
            order = source.o.payload
            with m.If(source.o.valid | (number == 0)):
                m.d.comb += [
                    self.operation.eq(order.operation),
                    self.label.eq(order.label),
                    self.pixel.eq(source.pixel),
                ]
            m.d.comb += [
                source.o.ready.eq(over),
                source.room.eq(room),
                source.idle.eq((under_way == 0) & ~self.busy),
                source.address.eq(self.pixel_address),
                source.result.valid.eq(results.r_rdy),
                source.result.payload.eq(oldest),
            ]
            with m.If(source.result.ready):
                m.d.comb += results.r_en.eq(1)
            with m.If(source.answers):
                m.d.comb += [self.sampled.eq(1), self.mistaken.eq(oldest.mistaken)]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(offered & commit & ~self.busy):
                    m.d.comb += self.start.eq(1)
                    m.next = "COMMIT"
                with m.If(offered & ~commit & room):
                    m.d.comb += [self.start.eq(1), self.trained.eq(self.operation == Operation.TRAIN)]
                    m.next = "HOLD"
            with m.State("HOLD"):
                with m.If(~self.holding):
                    m.d.comb += over.eq(1)
                    m.next = "IDLE"
            with m.State("COMMIT"):
                with m.If(~self.busy):
                    m.d.comb += [over.eq(1), self.committed.eq(1)]
                    m.next = "IDLE"
        return m

    def _judge(self, m):
        """Applies the order rules to the request of each source."""
        stale = Signal()
        left = Signal(signed(len(self.batch) + 1))
        with m.If(self.committed):
            m.d.sync += stale.eq(0)
        with m.If(self.written):
            m.d.sync += stale.eq(1)
        m.d.comb += left.eq(self.batch - self.pending)
        for source in self.sources:
            operation = source.o.payload.operation
            full = (operation == Operation.TRAIN) & (left < source.count)
            m.d.sync += source.refused.eq((operation != Operation.COMMIT) & (stale | full))

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
