# amaranth: UnusedElaboratable=no
"""Boards with a core that only adds, for benches of the whole link without a network."""

from dataclasses import replace

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory

from nudge.golden.contract import layout, protocol
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import LABELS, Command, Committed, Identity, Sampled, Status
from nudge.hw.core.interface import LANE_LATENCY, READ_LATENCY, CoreSignature, Operation, samples_in_flight
from nudge.hw.lib.adder_tree import delay
from nudge.hw.system import System
from nudge.hw.top import Top

from .testbench import Testbench
from .wire import ByteWire, SerialWire, Wire

TINY = configuration(preset("tiny"))

#: The same network for the compact core, which has one sample at a time.
COMPACT = replace(TINY, lanes=(1, 1, 1), compact=True)

#: Value of the register `beta` after reset.
BETA = TINY.spec.formats.beta_register(TINY.spec.learning.beta)

#: Clock frequency of the boards here, which HELLO answers.
CLOCK_HZ = 48_000_000

#: Link window of the boards here: small, so that buffers are soon full.
WINDOW = 2

#: Clock cycles per bit of the boards with serial pins. With 1 and 3, bytes can come faster than the deframer
#: takes them, so `Top` has a FIFO in front of it; with 8 it has none.
DIVISORS = (1, 3, 8)


class Summed(data.Struct):
    """A sample whose image has been read."""

    sum: 32
    train: 1
    #: Earliest time at which it may be done, in cycles of the core.
    due: 16


class FakeCore(wiring.Component):
    """Predicts (sum of pixels + beta) mod 8 instead of running the network.

    The core sums up a sample's image while it holds the image. Then the sample lingers for `LINGER` cycles
    times its first pixel, beside up to `samples_in_flight` - 1 others. It is done when its time is over and
    the sample before is done. So a bench controls how far samples overlap, and several may be done in
    consecutive cycles. With one sample in flight the image is held until the sample is done.

    A TRAIN that is done adds its sum to the `total`, which `spikes[0]` shows; COMMIT adds 1 to it. INFER
    changes only `phase_cycles[0]`, which counts busy cycles. Master memories are plain memories. An illegal
    start is ignored.

    Latency: INFER and TRAIN take `lone_cycles` if alone; after a TRAIN the core is busy for `UPDATE_CYCLES`
    more. COMMIT takes 1 cycle, after which no sample may start for some cycles.
    """

    #: Mutants don't change it.
    hardware = False

    #: Cycles that a sample lingers for each unit of its first pixel.
    LINGER = 32

    #: Cycles that the core is busy after a TRAIN is done: more than the link takes to send the answer.
    UPDATE_CYCLES = 200

    #: Minimum number of cycles after a start in which the core isn't ready.
    PAUSE = 7

    def __init__(self, config: Config):
        self.config, self.in_flight = config, samples_in_flight(config)
        super().__init__(CoreSignature(config))

    def elaborate(self, platform):
        m = Module()
        reads = []
        # the longest read latency that the interface allows
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
        committing, update, pause = (
            Signal(),
            Signal(range(self.UPDATE_CYCLES + 1)),
            Signal(range(self.PAUSE + 1)),
        )
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
        m.d.sync += [
            committing.eq(0),
            update.eq(Mux(update == 0, 0, update - 1)),
            pause.eq(Mux(pause == 0, 0, pause - 1)),
        ]
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
        """Sums up an image, then lets the sample linger; returns a signal that is high while it sums."""
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
    """Cycles in the answer to a sample that is alone in the core: pixels + 3 + LINGER * first pixel."""
    return len(pixels) + 3 + FakeCore.LINGER * pixels[0]


def predicted(pixels: bytes, beta: int = BETA) -> int:
    """The prediction for a sample: (sum of pixels + beta) mod 8."""
    return (sum(pixels) + beta) % 8


def prediction(pixels: bytes, beta: int = BETA) -> bytes:
    """Payload of the answer to a sample that is alone in the core."""
    return Sampled(predicted(pixels, beta), lone_cycles(pixels)).encode()


def identity(divisor: int, window: int = WINDOW, config: Config = TINY) -> Identity:
    """The identity that HELLO must answer for a board of this file."""
    spec = config.spec
    return Identity(spec.name, spec.identity, CLOCK_HZ, divisor, config.lanes, window=window)


def system(window: int, config: Config = TINY) -> System:
    """A board without serial pins."""
    return System(config, identity(1, window, config), FakeCore(config))


#: Windows and configurations of the boards without serial pins, by name. `bytes` is the usual one; the others
#: have fewer samples in flight, or as many as the core allows.
SYSTEMS = {"bytes": (WINDOW, TINY), "narrow": (1, TINY), "wide": (8, TINY), "single": (8, COMPACT)}

#: The boards of `SYSTEMS`, and `serial_<divisor>`, each of which is a `Top`.
FAKE_BOARDS = Testbench(
    {name: system(*which) for name, which in SYSTEMS.items()}
    | {
        f"serial_{divisor}": Top(TINY, clock_hz=CLOCK_HZ, divisor=divisor, window=WINDOW, core=FakeCore(TINY))
        for divisor in DIVISORS
    }
)


def byte_wire(dut, name: str = "bytes") -> ByteWire:
    """A wire to one of the boards without serial pins."""
    return ByteWire(dut, name, SYSTEMS[name][1])


def serial_wires(dut, *divisors: int) -> list[SerialWire]:
    """Wires to the boards with these divisors."""
    return [SerialWire(dut, f"serial_{divisor}", TINY, divisor) for divisor in divisors]


class FakeExecution:
    """Model of a board with the fake core that executes requests one by one, for `ProtocolModel`."""

    def __init__(self, wire: Wire):
        self.registers = {r.address: r.name for r in wire.registers.values()}
        self.total = self.pending = 0
        self.batch, self.stale = wire.registers["batch"].reset, False

    def __call__(self, command: Command, payload: bytes) -> tuple[Status, bytes]:
        match command:
            case Command.INFER | Command.TRAIN:
                if self.stale or (command is Command.TRAIN and self.pending >= self.batch):
                    return Status.BAD_ORDER, b""
                if payload[0] >= LABELS:
                    return Status.BAD_RANGE, b""
                if command is Command.TRAIN:
                    self.total += sum(payload[1:]) + BETA
                    self.pending += 1
                return Status.OK, Sampled(predicted(payload[1:]), 0).encode()
            case Command.COMMIT:
                pending, self.pending, self.stale = self.pending, 0, False
                self.total += 1
                return Status.OK, Committed(pending, 1).encode()
            case Command.WRITE_REGISTER:
                self.batch = payload[1]
                return Status.OK, b""
            case Command.WRITE_WEIGHTS:
                if self.pending:
                    return Status.BAD_ORDER, b""
                self.stale = True
                return Status.OK, b""
        values = {"spikes_1": self.total, "pending": self.pending}
        return Status.OK, values[self.registers[payload[0]]].to_bytes(4, "little")
