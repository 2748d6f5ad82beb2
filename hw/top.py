"""A board's logic from serial pin to serial pin."""

from amaranth.hdl import Module
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    LONGEST_RUN,
    PHASES,
    REQUEST_BYTES,
    WINDOW,
    BuildFacts,
    Identity,
    request_bytes,
    window_for,
)
from nudge.golden.contract.stored import CAPACITY, storable
from nudge.hw.link.deframer import MAX_BYTE_CYCLES
from nudge.hw.link.uart import FRAME_BITS, Receiver, Transmitter
from nudge.hw.memory.interface import Pins
from nudge.hw.memory.memory import Memory
from nudge.hw.memory.timing import Cycles

from .system import System


def waiting_bytes(window: int, divisor: int, frame_bytes: int = REQUEST_BYTES) -> int:
    """Bytes that may have to wait because the line is faster than the deframer; 0 if it never is.

    The worst case is `window` frames that consist of the longest runs of zeros, each of which takes the
    deframer `MAX_BYTE_CYCLES`.
    """
    spare = max(MAX_BYTE_CYCLES - FRAME_BITS * divisor, 0)
    return window * -(-(frame_bytes // LONGEST_RUN + 1) * spare // (FRAME_BITS * divisor))


class Top(wiring.Component):
    """`System` behind a serial line. One clock domain, `sync`.

    Parameters
    ----------
    config : Config
    clock_hz : int
        Frequency of `sync`, which HELLO answers; only the SDRAM's timing depends on it.
    divisor : int
        Clock cycles per bit of the serial line.
    window : int
        Link window, the requests that a host may have in flight: a power of two. Each takes REQUEST_BYTES +
        ANSWER_BYTES of block RAM; for networks with larger images it is reduced (`protocol.window_for`).
    core : Component with `CoreSignature(config)`, optional
        Replaces the core that `config` selects.
    build : BuildFacts, optional
        Values of the registers that identify the build of the bitstream.
    sdram : bool
        The board has an SDRAM for samples; it isn't used unless images have MNIST's shape and classes
        (`stored.storable`).

    Members
    -------
    rx : In(1), tx : Out(1)
        Serial line, 8N1, both idle high.
    busy : Out(1), phase : Out(len(PHASES)), error : Out(1)
        As in `System`.
    sdram_pins : Out(Pins())
        Pins of the SDRAM chip, if it is used.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock_hz: int,
        divisor: int,
        window: int = WINDOW,
        core=None,
        build: BuildFacts | None = None,
        sdram: bool = False,
    ):
        spec = config.spec
        window = window_for(spec, window)
        self.sdram = sdram and storable(spec.input)
        capacity = CAPACITY if self.sdram else 0
        self.identity = Identity(
            spec.name, spec.identity, clock_hz, divisor, config.lanes, window=window, capacity=capacity
        )
        self.system = System(config, self.identity, core, build)
        lights = {"busy": Out(1), "phase": Out(len(PHASES)), "error": Out(1)}
        chip = {"sdram_pins": Out(Pins())} if self.sdram else {}
        super().__init__({"rx": In(1, init=1), "tx": Out(1)} | lights | chip)

    def elaborate(self, platform):
        m = Module()
        m.submodules.system = system = self.system
        m.submodules.receiver = receiver = Receiver(self.identity.uart_divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.identity.uart_divisor)
        frame_bytes = request_bytes(self.system.config.spec)
        depth = waiting_bytes(self.identity.window, self.identity.uart_divisor, frame_bytes)
        if depth == 0:
            connect(m, receiver.o, system.i)
        else:  # only a simulated line is so fast
            m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=8, depth=depth)
            connect(m, receiver.o, waiting.w_stream)
            connect(m, waiting.r_stream, system.i)
        connect(m, system.o, transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            system.framing.eq(receiver.error),
            self.tx.eq(transmitter.tx),
            self.busy.eq(system.busy),
            self.phase.eq(system.phase),
            self.error.eq(system.error),
        ]
        if self.sdram:
            m.submodules.memory = memory = Memory(Cycles.of(self.identity.clock_hz))
            connect(m, system.memory, memory.port)
            connect(m, memory.pins, flipped(self.sdram_pins))
            m.d.comb += [system.tested.eq(memory.ready), system.works.eq(memory.works)]
        return m
