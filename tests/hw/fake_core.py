"""A core with the real one's interface and arithmetic of a few lines, to test the link in pysim."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from golden.contract import layout, protocol
from hw.core.interface import LANE_LATENCY, READ_LATENCY, CoreSignature, Operation
from hw.lib.adder_tree import delay


class FakeCore(wiring.Component):
    """Predicts (sum of pixels + beta) mod 8; TRAIN adds that sum, COMMIT 1 to the `total` that `spikes[0]` shows.

    Master memories are plain memories. INFER changes nothing but `phase_cycles[0]`, which counts busy cycles.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(CoreSignature(config))

    def elaborate(self, platform):
        m = Module()
        reads = []
        # as late as the contract allows
        address = self.address
        for _ in range(READ_LATENCY - LANE_LATENCY):
            address = delay(m, address, 1)
        for n, bundle in enumerate(self.config.spec.bundles):
            words = layout.master_words(self.config, bundle)
            memory = Memory(shape=len(self.write_data), depth=words << len(self.lane), init=[])
            m.submodules[f"master_{n}"] = memory
            write, read = memory.write_port(), memory.read_port()
            reads.append(read.data)
            m.d.comb += [
                write.addr.eq(Cat(self.lane, self.address)),
                write.data.eq(self.write_data),
                write.en.eq(self.write & (self.bundle == n) & ~self.busy),
                read.addr.eq(Cat(self.lane, address)),
            ]
        with m.Switch(self.bundle):
            for n, value in enumerate(reads):
                with m.Case(n):
                    m.d.sync += self.read_data.eq(value)

        total, sum_ = Signal(32), Signal(32)
        operation = Signal(Operation)
        count = Signal(range(protocol.PIXELS + 2))
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.busy.eq(1), operation.eq(self.operation), count.eq(0), sum_.eq(self.settings.beta)]
        with m.Elif(self.busy):
            m.d.comb += self.pixel_address.eq(count)
            m.d.sync += [count.eq(count + 1), self.phase_cycles[0].eq(self.phase_cycles[0] + 1)]
            with m.If(operation == Operation.COMMIT):
                m.d.sync += [self.busy.eq(0), total.eq(total + 1)]
            with m.Else():
                with m.If(count != 0):
                    m.d.sync += sum_.eq(sum_ + self.pixel)
                with m.If(count == protocol.PIXELS + 1):
                    m.d.sync += [self.busy.eq(0), self.prediction.eq(sum_[:3]), sum_.eq(sum_)]
                    m.d.sync += total.eq(total + Mux(operation == Operation.TRAIN, sum_, 0))
        with m.If(self.clear):
            m.d.sync += self.phase_cycles[0].eq(0)
        m.d.comb += self.spikes[0].eq(total)
        return m
