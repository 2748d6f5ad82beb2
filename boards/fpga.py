"""What the boards with a real part have in common: their facts, and the logic around `hw.top.Top`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.build import Resource
from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io

from golden.contract.config import Config
from golden.contract.errors import DesignError
from golden.contract.presets import PRESETS
from golden.contract.protocol import PHASES, WINDOW, BuildFacts
from hw.top import Top

from . import BoardFacts

#: Largest error of the serial rate. 8N1 bears about 5 % between both ends, most of which belongs to
#: an adapter's own clock and to slow edges on the wire; a core's clock can always be chosen closer.
BAUD_TOLERANCE = 0.005


@dataclass(frozen=True)
class Design:
    """What is built for one preset: the accelerator's lanes and engines, and its clock.

    spacers: one at each so many flip-flops (`boards.toolchain.spacers`), where wires are scarce; 0 for none. seed:
    of placement, where
    nothing else is asked for: one that is known to be routed.
    """

    config: Config
    clock_hz: int
    spacers: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Fpga:
    """A board's facts. A new board is one file with one of these.

    name: lower case, one word. what: board and part, for people. platform: makes its Amaranth platform; pins live there.
    baud: rate of its serial adapter. designs: what it can be built for, by preset. flash: the command that loads a bitstream,
    whose file name is put at the end. leds: names of the LED resources that show, in this order, an error, that the core is
    busy, and each phase, as far as there are LEDs; a phase's brightness is its share of the time. uart: the serial port.
    resources: pins that the platform has no name for. usb: what `lsusb` shows while it can be loaded, vendor:product.
    hint: what else it needs for that. window: requests in flight, which cost block RAM.
    """

    name: str
    what: str
    platform: Callable[[], Any]
    baud: int
    designs: Mapping[str, Design]
    flash: tuple[str, ...]
    usb: str
    leds: tuple[tuple[str, int], ...]
    resources: tuple[Resource, ...] = ()
    hint: str = ""
    window: int = WINDOW
    synth_opts: str = ""
    nextpnr_opts: str = ""

    def design(self, preset: str) -> Design:
        """What is built for a preset; `DesignError` if this board has no design for it."""
        if preset not in self.designs:
            known = "unknown preset" if preset not in PRESETS else f"{self.name} is too small for preset"
            raise DesignError(f"{known} {preset!r}: {self.name} takes {', '.join(self.designs)}")
        return self.designs[preset]

    @property
    def largest(self) -> str:
        """The last preset that it takes."""
        return list(self.designs)[-1]

    def facts(self, preset: str) -> BoardFacts:
        """Clock and divisor of the board when it is built for a preset."""
        clock_hz = self.design(preset).clock_hz
        divisor = round(clock_hz / self.baud)
        if divisor < 8 or abs(clock_hz / divisor / self.baud - 1) > BAUD_TOLERANCE:
            raise DesignError(f"{self.name}: {clock_hz / 1e6:g} MHz can't make {self.baud} baud within {BAUD_TOLERANCE:.1%}")
        return BoardFacts(self.name, clock_hz, divisor, self.window)


class BoardLogic(Elaboratable):
    """`Top` on a board: clock, reset button, serial pins and LEDs."""

    def __init__(self, fpga: Fpga, preset: str, build: BuildFacts):
        self.fpga, facts = fpga, fpga.facts(preset)
        clocks = {"clock_hz": facts.clock_hz, "divisor": facts.uart_divisor}
        self.top = Top(fpga.design(preset).config, **clocks, window=facts.window, build=build)

    def elaborate(self, platform: Any) -> Module:
        # here, not above: Amaranth's vendor modules are slow to import
        from boards.toolchain.clock import CoreClock

        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.submodules.clock = clock = CoreClock(self.top.identity.clock_hz)
        m.submodules.top = top = self.top
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.button = button = io.Buffer("i", platform.request("button", 0, dir="-"))
        m.d.comb += [top.rx.eq(rx.i), tx.o.eq(top.tx), clock.reset.eq(button.i)]

        shown = Signal(2 + len(PHASES))
        m.d.sync += shown.eq(Cat(top.error, top.busy, top.phase))
        requested = [platform.request(*led, dir="-") for led in self.fpga.leds]
        # a coloured LED is three
        ports = [line for port in requested for line in ([port.r, port.g, port.b] if hasattr(port, "b") else [port])]
        for n, port in enumerate(ports):
            m.submodules[f"led_{n}"] = led = io.Buffer("o", port)
            m.d.comb += led.o.eq(shown[n])
        return m
