"""The chip's pins on a real board, with a register in each pin's cell."""

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io
from amaranth.lib.wiring import flipped

from .interface import Pins


class Pads(Elaboratable):
    """Connects ``pins`` with the ports of a board's SDRAM resource (`amaranth_boards`: `SDRAMResource`).

    The tools here don't constrain delays to pins. So every pin has a register in its own cell: a double data
    rate register with the same value in both halves, so that all pins have the same delay. The chip's clock
    leaves through such a register too, inverted: it rises half a cycle after the other pins changed, and half
    a cycle before they change again. The chip's words are sampled at the falling edge of `sync`, which is the
    chip's next rising edge: they have a whole cycle, less the delays to the chip and back.

    Latency: whole cycles for outputs and inputs, which the read delay of `Controller` includes.
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
