"""Splits spans of consecutive words into accesses of the memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.stored import MAX_RECORD_WORDS

from .interface import ADDRESS_BITS, BURST, Access


class Span(data.Struct):
    """``words`` consecutive words from ``address`` on."""

    address: ADDRESS_BITS
    words: range(MAX_RECORD_WORDS + 1)


class Bursts(wiring.Component):
    """Splits spans into accesses of at most `BURST` words that don't cross a multiple of `BURST`.

    Latency: the first access of a span is offered two cycles after its transfer. Throughput: one access a
    cycle.

    Parameters
    ----------
    write : bool
        The accesses are writes.

    Members
    -------
    span : In(stream.Signature(Span))
        A span of at least one word. Ready when all accesses of the span before have been taken.
    access : Out(stream.Signature(Access))
        From registers.
    """

    span: In(stream.Signature(Span))
    access: Out(stream.Signature(Access))

    def __init__(self, *, write: bool):
        self.write = write
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        at = Signal(ADDRESS_BITS)
        left, length = Signal(range(MAX_RECORD_WORDS + 1)), Signal(range(BURST + 1))
        room = BURST - at[: (BURST - 1).bit_length()]
        access, payload = self.access, self.access.payload
        m.d.comb += [self.span.ready.eq((left == 0) & ~access.valid), length.eq(Mux(left < room, left, room))]
        with m.If(self.span.ready):
            m.d.sync += at.eq(self.span.payload.address)
            with m.If(self.span.valid):
                m.d.sync += left.eq(self.span.payload.words)
        with m.Elif(~access.valid | access.ready):
            m.d.sync += [access.valid.eq(left != 0), at.eq(at + length), left.eq(left - length)]
            m.d.sync += [payload.write.eq(self.write), payload.address.eq(at), payload.length.eq(length)]
        return m
