"""The chip's pins on a real board: registers in the pins, by construction."""

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io
from amaranth.lib.wiring import flipped

from .interface import Pins


class Pads(Elaboratable):
    """Connects ``pins`` with the ports of a board's SDRAM resource (`amaranth_boards`: `SDRAMResource`).

    No tool here knows how long a signal may take to a pin, so nothing is left to it: every pin has a register of its own in the
    pin's cell, which is double data rate with the same value in both halves, so that all take equally long. The chip's clock
    leaves through one too, inverted: it rises in the middle of what the other pins show, half a cycle after they changed and
    half a cycle before. The chip's words are taken with the clock's falling edge, which is the chip's next rising one: they
    have a whole cycle, less the way there and back.

    Latency: whole cycles, out and in, which the read delay of `Controller` covers.
    """

    def __init__(self, port):
        self.port, self.pins = port, flipped(Pins().create())

    def elaborate(self, platform):
        m = Module()
        m.submodules.clock = clock = io.DDRBuffer("o", self.port.clk)
        m.d.comb += [clock.o[0].eq(0), clock.o[1].eq(1)]
        we, cas, ras = self.pins.command.as_value()
        outputs = {
            "clk_en": self.pins.clock_enable,
            "cs": 1,
            "ras": ras,
            "cas": cas,
            "we": we,
            "ba": self.pins.bank,
            "a": self.pins.address,
            "dqm": self.pins.mask,
        }
        for name, value in outputs.items():
            m.submodules[name] = buffer = io.DDRBuffer("o", getattr(self.port, name))
            m.d.comb += [half.eq(value) for half in buffer.o]
        m.submodules.dq = words = io.DDRBuffer("io", self.port.dq)
        m.d.comb += [half.eq(self.pins.data) for half in words.o]
        m.d.comb += [words.oe.eq(self.pins.drive), self.pins.captured.eq(words.i[1])]
        return m
