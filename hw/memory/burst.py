"""Words in a row, as accesses that the memory takes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.stored import MAX_RECORD_WORDS

from .interface import ADDRESS_BITS, BURST, Access


class Span(data.Struct):
    """Any number of words in a row."""

    address: ADDRESS_BITS
    words: range(MAX_RECORD_WORDS + 1)


class Bursts(wiring.Component):
    """Cuts spans into accesses of at most `BURST` words, which end at its multiples.

    Latency: the first access of a span is offered in the cycle after its transfer.

    Parameters
    ----------
    write : bool
        Whether they are writes.

    Members
    -------
    span : In(stream.Signature(Span))
        Of at least one word. Ready when all of the one before was taken.
    access : Out(stream.Signature(Access))
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
        payload = self.access.payload
        m.d.comb += [
            self.span.ready.eq(left == 0),
            self.access.valid.eq(left != 0),
            length.eq(Mux(left < room, left, room)),
            payload.write.eq(self.write),
            payload.address.eq(at),
            payload.length.eq(length),
        ]
        with m.If(self.span.ready):
            m.d.sync += at.eq(self.span.payload.address)
            with m.If(self.span.valid):
                m.d.sync += left.eq(self.span.payload.words)
        with m.Elif(self.access.ready):
            m.d.sync += [at.eq(at + length), left.eq(left - length)]
        return m
