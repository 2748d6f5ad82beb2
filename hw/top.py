"""A board's logic from serial pin to serial pin."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from .config import Config
from .protocol import PHASES, BuildFacts, Identity
from .system import System
from .uart import Receiver, Transmitter


class Top(wiring.Component):
    """`System` behind a serial line. One clock domain, `sync`.

    Parameters
    ----------
    config : Config
    clock_hz : int
        Frequency of `sync`, as HELLO tells it; nothing else depends on it.
    divisor : int
        Clock cycles per bit of the serial line.
    core : Component with `CoreSignature(config)`, optional
        Another core than the one that `config` asks for.
    build : BuildFacts, optional
        What the registers tell of the bitstream's making.

    Members
    -------
    rx : In(1), tx : Out(1)
        Serial line, 8N1, both idle high.
    busy : Out(1), phase : Out(len(PHASES)), error : Out(1)
        As in `System`.
    """

    def __init__(self, config: Config, *, clock_hz: int, divisor: int, core=None, build: BuildFacts | None = None):
        spec = config.spec
        self.identity = Identity(spec.name, spec.identity, clock_hz, divisor, config.lanes)
        self.system = System(config, self.identity, core, build)
        lights = {"busy": Out(1), "phase": Out(len(PHASES)), "error": Out(1)}
        super().__init__({"rx": In(1, init=1), "tx": Out(1)} | lights)

    def elaborate(self, platform):
        m = Module()
        m.submodules.system = system = self.system
        m.submodules.receiver = receiver = Receiver(self.identity.uart_divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.identity.uart_divisor)
        connect(m, receiver.o, system.i)
        connect(m, system.o, transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.busy.eq(system.busy),
            self.phase.eq(system.phase),
            self.error.eq(system.error),
        ]
        return m
