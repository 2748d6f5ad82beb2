"""Reads the bytes of a frame in sequence."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.protocol import REQUEST_BYTES

from .interface import ReadPort


class FrameBytes(wiring.Component):
    """Streams the bytes of the frame buffer from any address on, one in 3 cycles.

    The wires to the block RAM are long and the RAM is slow, so address and data have registers.

    Members
    -------
    seek : In(1), place : In
        Strobe: the byte at address ``place`` is the next one.
    o : Out(stream.Signature(8))
        A byte that is offered is withdrawn by ``seek``.
    buffer : Out(ReadPort())
    """

    def __init__(self):
        members = {
            "seek": In(1),
            "place": In(range(REQUEST_BYTES)),
            "o": Out(stream.Signature(8)),
            "buffer": Out(ReadPort()),
        }
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
