"""The logic around `hw.top.Top` on a board with a real part."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Elaboratable, Module, Signal
from amaranth.lib import io
from amaranth.lib.wiring import connect

from nudge.boards.fpga import Fpga
from nudge.golden.contract.protocol import PHASES, BuildFacts
from nudge.hw.memory.pads import Pads
from nudge.hw.top import Top

from .clock import CoreClock

#: Signals that LEDs show, in the order of `Fpga.leds`.
SHOWN = ("error", "busy", *PHASES)


def led_ports(fpga: Fpga, platform: Any) -> list[Any]:
    """Request a board's LEDs; return a port for each of `SHOWN`, or fewer. A coloured LED counts as three."""
    requested = [platform.request(*led, dir="-") for led in fpga.leds]
    coloured = [[led.r, led.g, led.b] if hasattr(led, "b") else [led] for led in requested]
    return [port for lines in coloured for port in lines][: len(SHOWN)]


class BoardLogic(Elaboratable):
    """`Top` on a board: clock, serial pins and, if present, reset button, SDRAM, LEDs, constant outputs."""

    def __init__(self, fpga: Fpga, preset: str, build: BuildFacts):
        self.fpga, facts = fpga, fpga.facts(preset)
        clocks = {"clock_hz": facts.clock_hz, "divisor": facts.uart_divisor}
        self.top = Top(
            fpga.design(preset).config, **clocks, window=facts.window, build=build, sdram=facts.sdram
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.submodules.clock = clock = CoreClock(
            self.top.identity.clock_hz, self.fpga.family, self.fpga.reset_buffer
        )
        m.submodules.top = top = self.top
        uart = platform.request(*self.fpga.uart, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [top.rx.eq(rx.i), tx.o.eq(top.tx)]
        if self.fpga.button is not None:
            pin = platform.request(*self.fpga.button, dir="-")
            m.submodules.button = button = io.Buffer("i", pin)
            m.d.comb += clock.reset.eq(button.i)

        for n, name in enumerate(self.fpga.high):
            m.submodules[f"high_{n}"] = high = io.Buffer("o", platform.request(*name, dir="-"))
            m.d.comb += high.o.eq(1)

        if top.sdram and self.fpga.sdram is not None:
            m.submodules.sdram = pads = Pads(platform.request(*self.fpga.sdram, dir="-"))
            connect(m, top.sdram_pins, pads.pins)

        shown = Signal(len(SHOWN))
        m.d.sync += shown.eq(Cat(top.error, top.busy, top.phase))
        for n, port in enumerate(led_ports(self.fpga, platform)):
            m.submodules[f"led_{n}"] = led = io.Buffer("o", port)
            m.d.comb += led.o.eq(shown[n])
        return m
