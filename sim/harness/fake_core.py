# amaranth: UnusedElaboratable=no
"""Boards with a core that answers at once, to bench the whole link without a network."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from golden.contract import layout, protocol
from golden.contract.config import configuration
from golden.contract.presets import preset
from golden.contract.protocol import Identity
from hw.core.interface import LANE_LATENCY, READ_LATENCY, CoreSignature, Operation
from hw.lib.adder_tree import delay
from hw.system import System
from hw.top import Top

from .testbench import Testbench
from .wire import ByteWire, SerialWire

TINY = configuration(preset("tiny"))

#: As a register has it after reset.
BETA = TINY.spec.beta(TINY.spec.learning.beta)

#: What HELLO tells of the boards here.
CLOCK_HZ = 48_000_000

#: Of the boards here: what fills up is soon full.
WINDOW = 2

#: Clock cycles per bit of the boards with serial pins. With 1 and 3 bytes can come faster than the
#: deframer takes them, so `Top` has a FIFO in front of it; with 8 it has none.
DIVISORS = (1, 3, 8)


class FakeCore(wiring.Component):
    """Predicts (sum of pixels + beta) mod 8, where the real core runs the network.

    TRAIN adds that sum to the `total` that `spikes[0]` shows, COMMIT adds 1; INFER changes nothing
    but `phase_cycles[0]`, which counts busy cycles. Master memories are plain memories.

    Latency: INFER and TRAIN `FakeCore.sample_cycles`, COMMIT 1 cycle.
    """

    #: Of INFER and TRAIN: one for each pixel, and two until the last one is added.
    sample_cycles = protocol.PIXELS + 2

    def __init__(self, config):
        self.config = config
        super().__init__(CoreSignature(config))

    def elaborate(self, platform):
        m = Module()
        reads = []
        # as late as the contract allows
        address = delay(m, self.address, READ_LATENCY - LANE_LATENCY)
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
            m.d.sync += [self.busy.eq(1), operation.eq(self.operation)]
            m.d.sync += [count.eq(0), sum_.eq(self.settings.beta)]
        with m.Elif(self.busy):
            m.d.comb += self.pixel_address.eq(count)
            m.d.sync += count.eq(count + 1)
            m.d.sync += self.phase_cycles[0].eq(self.phase_cycles[0] + 1)
            with m.If(operation == Operation.COMMIT):
                m.d.sync += [self.busy.eq(0), total.eq(total + 1)]
            with m.Else():
                with m.If(count != 0):
                    m.d.sync += sum_.eq(sum_ + self.pixel)
                with m.If(count == protocol.PIXELS + 1):
                    m.d.sync += [self.busy.eq(0), self.prediction.eq(sum_[:3]), sum_.eq(sum_)]
                    with m.If(operation == Operation.TRAIN):
                        m.d.sync += total.eq(total + sum_)
        with m.If(self.clear):
            m.d.sync += self.phase_cycles[0].eq(0)
        m.d.comb += self.spikes[0].eq(total)
        return m


def prediction(pixels: bytes, beta: int = BETA) -> bytes:
    """Payload of the answer to a sample."""
    cycles = FakeCore.sample_cycles
    return bytes(((sum(pixels) + beta) % 8,)) + cycles.to_bytes(4, "little")


def identity(divisor: int) -> Identity:
    """What HELLO must tell of a board here."""
    spec = TINY.spec
    return Identity(spec.name, spec.identity, CLOCK_HZ, divisor, TINY.lanes, window=WINDOW)


#: `bytes` is a `System`, without serial pins; `serial_<divisor>` a `Top`.
FAKE_BOARDS = Testbench(
    {"bytes": System(TINY, identity(1), FakeCore(TINY))}
    | {
        f"serial_{divisor}": Top(
            TINY, clock_hz=CLOCK_HZ, divisor=divisor, window=WINDOW, core=FakeCore(TINY)
        )
        for divisor in DIVISORS
    }
)


def byte_wire(dut) -> ByteWire:
    """To the board without serial pins."""
    return ByteWire(dut, "bytes", TINY)


def serial_wires(dut, *divisors: int) -> list[SerialWire]:
    """To the boards with these divisors."""
    return [SerialWire(dut, f"serial_{divisor}", TINY, divisor) for divisor in divisors]
