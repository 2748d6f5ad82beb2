"""Reads records: table entry, header, coded image."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.stored import ENTRY_WORDS, HEADER_WORDS, MAX_CODED, WORD_BYTES, Header
from nudge.hw.lib.flow import Flow

from .burst import Bursts
from .interface import ADDRESS_BITS, INDEX_BITS, WORD_BITS, Access


class RecordReader(wiring.Component):
    """Reads one record after the other.

    Latency from the transfer of ``index`` to the first word of ``coded``: about 50 cycles, without a REFRESH.

    Members
    -------
    index : In(stream.Signature(INDEX_BITS))
        Index of a stored sample. Ready when all words of the record before have been taken.
    access : Out(stream.Signature(Access)), read : In(stream.Signature(16))
        The memory.
    header : Out(Header.size() * 8)
        The bytes of `Header`, the first one in the lowest bits; valid from ``known`` on.
    known : Out(1)
        Strobe: ``header`` is complete. The words of the image follow if ``follow`` is high.
    follow : Out(1)
        The length in the header is within 1..`MAX_CODED`.
    coded : Out(stream.Signature(16))
        The words of the coded image.
    seen : Out(Flow(16))
        Each word of the record, header included, when it is taken.
    """

    def __init__(self):
        word = stream.Signature(WORD_BITS)
        super().__init__(
            {
                "index": In(stream.Signature(INDEX_BITS)),
                "access": Out(stream.Signature(Access)),
                "read": In(word),
                "header": Out(8 * Header.size()),
                "known": Out(1),
                "follow": Out(1),
                "coded": Out(word),
                "seen": Out(Flow(WORD_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = Bursts(write=False)
        connect(m, bursts.access, flipped(self.access))
        span, read = bursts.span, self.read
        # the last words read, the latest in the highest bits: an address, or a header
        kept = Signal(8 * Header.size())
        words = Signal.like(span.payload.words)
        image = Signal()
        at = Signal(ADDRESS_BITS)
        length = kept[8 * Header.at("coded") :][:16]
        image_words = (length + WORD_BYTES - 1) // WORD_BYTES
        m.d.comb += [
            self.header.eq(kept),
            self.follow.eq((length != 0) & (length <= MAX_CODED)),
            self.coded.payload.eq(read.payload),
            self.seen.payload.eq(read.payload),
            span.payload.address.eq(at),
            span.payload.words.eq(words),
        ]
        taken = read.valid & read.ready
        with m.If(taken):
            m.d.sync += words.eq(words - 1)
            with m.If(~image):
                m.d.sync += kept.eq(Cat(kept[WORD_BITS:], read.payload))

        def ask(name, after):
            """Adds a state that requests the span."""
            with m.State(name):
                m.d.comb += span.valid.eq(1)
                with m.If(span.ready):
                    m.next = after

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.index.ready.eq(1)
                m.d.sync += [at.eq(self.index.payload * ENTRY_WORDS), words.eq(ENTRY_WORDS), image.eq(0)]
                with m.If(self.index.valid):
                    m.next = "ASK ENTRY"
            ask("ASK ENTRY", "ENTRY")
            with m.State("ENTRY"):
                m.d.comb += read.ready.eq(1)
                with m.If(words == 0):
                    m.d.comb += read.ready.eq(0)
                    m.d.sync += [at.eq(kept[-ENTRY_WORDS * WORD_BITS :]), words.eq(HEADER_WORDS)]
                    m.next = "ASK HEADER"
            ask("ASK HEADER", "HEADER")
            with m.State("HEADER"):
                m.d.comb += [read.ready.eq(words != 0), self.seen.valid.eq(taken)]
                with m.If(words == 0):
                    m.next = "KNOWN"
            with m.State("KNOWN"):
                m.d.comb += self.known.eq(1)
                m.d.sync += [at.eq(at + HEADER_WORDS), words.eq(image_words), image.eq(1)]
                m.next = "IDLE"
                with m.If(self.follow):
                    m.next = "ASK IMAGE"
            ask("ASK IMAGE", "IMAGE")
            with m.State("IMAGE"):
                m.d.comb += [
                    self.coded.valid.eq(read.valid & (words != 0)),
                    read.ready.eq(self.coded.ready & (words != 0)),
                    self.seen.valid.eq(taken),
                ]
                with m.If(words == 0):
                    m.next = "IDLE"
        return m
