"""Skid buffer: holds two words of a stream, so that `ready` has no combinational path through it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Delays a stream by one cycle, at one word a cycle; all outputs come from registers.

    Parameters
    ----------
    shape : ShapeLike
        Shape of a word.

    Members
    -------
    i : In(stream.Signature(shape)), o : Out(stream.Signature(shape))
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        spare, kept = Signal.like(self.i.payload, reset_less=True), Signal()
        m.d.comb += self.i.ready.eq(~kept)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(kept | self.i.valid), kept.eq(0)]
            m.d.sync += self.o.payload.eq(Mux(kept, spare, self.i.payload))
        with m.Elif(self.i.valid):
            m.d.sync += kept.eq(1)
        with m.If(~kept):
            m.d.sync += spare.eq(self.i.payload)
        return m
