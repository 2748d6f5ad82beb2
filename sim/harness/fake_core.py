# amaranth: UnusedElaboratable=no
"""Boards with a core that only adds, to bench the whole link without a network."""

from dataclasses import replace

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory

from golden.contract import layout, protocol
from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from golden.contract.protocol import Identity, Sampled
from hw.core.interface import LANE_LATENCY, READ_LATENCY, CoreSignature, Operation, samples_in_flight
from hw.lib.adder_tree import delay
from hw.system import System
from hw.top import Top

from .testbench import Testbench
from .wire import ByteWire, SerialWire

TINY = configuration(preset("tiny"))

#: The same network for a core that has one sample at a time.
COMPACT = replace(TINY, lanes=(1, 1, 1), compact=True)

#: As a register has it after reset.
BETA = TINY.spec.beta(TINY.spec.learning.beta)

#: What HELLO tells of the boards here.
CLOCK_HZ = 48_000_000

#: Of the boards here: what fills up is soon full.
WINDOW = 2

#: Clock cycles per bit of the boards with serial pins. With 1 and 3 bytes can come faster than the
#: deframer takes them, so `Top` has a FIFO in front of it; with 8 it has none.
DIVISORS = (1, 3, 8)


class Summed(data.Struct):
    """A sample whose image was taken."""

    sum: 32
    train: 1
    #: When it may be done, in the core's time.
    due: 16


class FakeCore(wiring.Component):
    """Predicts (sum of pixels + beta) mod 8, where the real core runs the network.

    A sample's image is added up while the core holds it. Then the sample lingers, `LINGER` cycles
    for each unit of its first pixel, beside up to `samples_in_flight` - 1 others, and is done as
    soon as its time is over and the one before is done: so a bench decides how far samples overlap,
    and several may be done in consecutive cycles. With one in flight the image is held until then.

    When it is done, a TRAIN adds its sum to the `total` that `spikes[0]` shows; COMMIT adds 1. INFER
    changes nothing but `phase_cycles[0]`, which counts busy cycles. Master memories are plain
    memories. What isn't a legal start is ignored.

    Latency: INFER and TRAIN `lone_cycles` if alone; after TRAIN it is busy for `UPDATE_CYCLES` more;
    COMMIT 1 cycle, and no sample is started for some after it.
    """

    #: Mutants leave it alone.
    hardware = False

    #: Cycles that a sample lingers for each unit of its first pixel.
    LINGER = 16

    #: Cycles that it is busy after a TRAIN is done: longer than the link takes to say its answer.
    UPDATE_CYCLES = 200

    #: Cycles after a start in which it isn't ready, at least.
    PAUSE = 7

    def __init__(self, config: Config):
        self.config, self.in_flight = config, samples_in_flight(config)
        super().__init__(CoreSignature(config))

    def elaborate(self, platform):
        m = Module()
        reads = []
        # as late as the contract allows
        address = delay(m, self.address, READ_LATENCY - LANE_LATENCY)
        for n, bundle in enumerate(self.config.spec.bundles):
            words = layout.image_words(self.config, bundle)
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

        total, time = Signal(32), Signal(16)
        committing, update, pause = Signal(), Signal(range(self.UPDATE_CYCLES + 1)), Signal(range(self.PAUSE + 1))
        m.submodules.lingering = lingering = SyncFIFO(width=Summed.as_shape().size, depth=self.in_flight)
        taking = self._take(m, lingering, time)
        oldest = Summed(lingering.r_data)
        late = Signal(16)
        m.d.sync += time.eq(time + 1)
        m.d.comb += [
            late.eq(time - oldest.due),
            self.done.eq(lingering.r_rdy & ~late[-1]),
            lingering.r_en.eq(self.done),
            self.prediction.eq(Mux(self.done, oldest.sum[:3], ~oldest.sum[:3])),
            self.holding.eq(taking | (lingering.r_rdy & ~self.done if self.in_flight == 1 else 0)),
            self.busy.eq(taking | lingering.r_rdy | committing | (update != 0)),
            self.ready.eq(~taking & ~committing & (pause == 0) & (lingering.level != self.in_flight)),
        ]
        m.d.sync += [committing.eq(0), update.eq(Mux(update == 0, 0, update - 1)), pause.eq(Mux(pause == 0, 0, pause - 1))]
        with m.If(self.start):
            m.d.sync += pause.eq(self.PAUSE)
        with m.If(self.start & (self.operation == Operation.COMMIT) & ~self.busy):
            m.d.sync += committing.eq(1)
        with m.If(committing):
            m.d.sync += total.eq(total + 1)
        with m.If(self.done & oldest.train):
            m.d.sync += [total.eq(total + oldest.sum), update.eq(self.UPDATE_CYCLES)]
        with m.If(self.clear):
            m.d.sync += self.phase_cycles[0].eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.phase_cycles[0].eq(self.phase_cycles[0] + 1)
        m.d.comb += self.spikes[0].eq(total)
        return m

    def _take(self, m, lingering, time):
        """Adds up an image, pixel by pixel, and lets the sample linger; whether that goes on."""
        taking, train = Signal(), Signal()
        count, sum_, first = Signal(range(protocol.PIXELS + 2)), Signal(32), Signal(8)
        summed = Summed(lingering.w_data)
        m.d.comb += [
            self.pixel_address.eq(count),
            summed.sum.eq(sum_),
            summed.train.eq(train),
            summed.due.eq(time + 1 + self.LINGER * first),
        ]
        with m.If(taking):
            m.d.sync += count.eq(count + 1)
            with m.If(count == 1):
                m.d.sync += first.eq(self.pixel)
            with m.If(count == protocol.PIXELS + 1):
                m.d.comb += lingering.w_en.eq(1)
                m.d.sync += taking.eq(0)
            with m.Elif(count != 0):
                m.d.sync += sum_.eq(sum_ + self.pixel)
        with m.Elif(self.start & self.ready & (self.operation != Operation.COMMIT)):
            m.d.sync += [taking.eq(1), train.eq(self.operation == Operation.TRAIN)]
            m.d.sync += [count.eq(0), sum_.eq(self.settings.beta)]
        return taking


def lone_cycles(pixels: bytes) -> int:
    """Cycles in the answer to a sample that has the core for itself: one for each pixel, 3, and how long it lingers."""
    return len(pixels) + 3 + FakeCore.LINGER * pixels[0]


def predicted(pixels: bytes, beta: int = BETA) -> int:
    """What a sample is taken for."""
    return (sum(pixels) + beta) % 8


def prediction(pixels: bytes, beta: int = BETA) -> bytes:
    """Payload of the answer to a sample that has the core for itself."""
    return Sampled(predicted(pixels, beta), lone_cycles(pixels)).encode()


def identity(divisor: int, window: int = WINDOW, config: Config = TINY) -> Identity:
    """What HELLO must tell of a board here."""
    spec = config.spec
    return Identity(spec.name, spec.identity, CLOCK_HZ, divisor, config.lanes, window=window)


def system(window: int, config: Config = TINY) -> System:
    """A board without serial pins."""
    return System(config, identity(1, window, config), FakeCore(config))


#: By name, the boards without serial pins: their windows and configurations. `bytes` is the usual one; in the others fewer
#: samples are under way, or as many as a core has.
SYSTEMS = {"bytes": (WINDOW, TINY), "narrow": (1, TINY), "wide": (8, TINY), "single": (8, COMPACT)}

#: Those, and `serial_<divisor>`, each a `Top`.
FAKE_BOARDS = Testbench(
    {name: system(*which) for name, which in SYSTEMS.items()}
    | {
        f"serial_{divisor}": Top(
            TINY, clock_hz=CLOCK_HZ, divisor=divisor, window=WINDOW, core=FakeCore(TINY)
        )
        for divisor in DIVISORS
    }
)


def byte_wire(dut, name: str = "bytes") -> ByteWire:
    """To one of the boards without serial pins."""
    return ByteWire(dut, name, SYSTEMS[name][1])


def serial_wires(dut, *divisors: int) -> list[SerialWire]:
    """To the boards with these divisors."""
    return [SerialWire(dut, f"serial_{divisor}", TINY, divisor) for divisor in divisors]
