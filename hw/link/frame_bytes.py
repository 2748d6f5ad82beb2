"""The bytes of a frame, one after the other."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.protocol import REQUEST_BYTES

from .interface import ReadPort


class FrameBytes(wiring.Component):
    """Reads the frame buffer from any place on. Block RAM is slow, and far away: a byte takes 3 cycles.

    Members
    -------
    seek : In(1), place : In
        One cycle: the byte at ``place`` comes next.
    o : Out(stream.Signature(8))
        Stops offering what it offers when it has to seek.
    buffer : Out(ReadPort())
    """

    def __init__(self):
        members = {"seek": In(1), "place": In(range(REQUEST_BYTES)), "o": Out(stream.Signature(8)), "buffer": Out(ReadPort())}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        age = Signal(2)
        m.d.comb += self.o.valid.eq(age == 2)
        with m.If(age != 2):
            m.d.sync += [age.eq(age + 1), self.o.payload.eq(self.buffer.data)]
        with m.Elif(self.o.ready):
            m.d.sync += [age.eq(0), self.buffer.address.eq(self.buffer.address + 1)]
        with m.If(self.seek):
            m.d.sync += [age.eq(0), self.buffer.address.eq(self.place)]
        return m
