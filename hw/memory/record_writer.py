"""Writes records to the memory, and their addresses to the table."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.stored import ENTRY_WORDS, LOG_AT

from .burst import Bursts
from .interface import ADDRESS_BITS, INDEX_BITS, WORD_BITS, Access, Record


class RecordWriter(wiring.Component):
    """Appends records to the log. `golden.contract.stored` defines the layout of the memory.

    A record takes about 3 cycles for each 2 words, and 30 more.

    Members
    -------
    record : In(stream.Signature(Record))
        Transferred when it has been stored; ``count`` and ``end`` change with the transfer.
    data : In(stream.Signature(16))
        The words of the record.
    access : Out(stream.Signature(Access)), write : Out(stream.Signature(16))
        The memory.
    forget : In(1)
        Empties the store; not allowed while a record is offered.
    count : Out(18), end : Out(24)
        Number of stored samples; address of the word at which the next record will begin.
    """

    def __init__(self):
        word = stream.Signature(WORD_BITS)
        super().__init__(
            {
                "record": In(stream.Signature(Record)),
                "data": In(word),
                "access": Out(stream.Signature(Access)),
                "write": Out(word),
                "forget": In(1),
                "count": Out(INDEX_BITS + 1),
                "end": Out(ADDRESS_BITS, init=LOG_AT),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts = bursts = Bursts(write=True)
        connect(m, bursts.access, flipped(self.access))
        record, span = self.record.payload, bursts.span
        words = Signal.like(record.words)
        table, high = Signal(), Signal()
        entry = Cat(self.end, Const(0, ENTRY_WORDS * WORD_BITS - ADDRESS_BITS))
        m.d.comb += [
            span.payload.address.eq(Mux(table, record.index * ENTRY_WORDS, self.end)),
            span.payload.words.eq(Mux(table, ENTRY_WORDS, record.words)),
            self.write.payload.eq(Mux(table, entry.word_select(high, WORD_BITS), self.data.payload)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += words.eq(record.words)
                m.d.comb += span.valid.eq(self.record.valid)
                with m.If(self.record.valid & span.ready):
                    m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [self.write.valid.eq(self.data.valid), self.data.ready.eq(self.write.ready)]
                with m.If(self.data.valid & self.data.ready):
                    m.d.sync += words.eq(words - 1)
                    with m.If(words == 1):
                        m.next = "TABLE"
            with m.State("TABLE"):
                m.d.comb += [table.eq(1), span.valid.eq(1)]
                with m.If(span.ready):
                    m.next = "ENTRY"
            with m.State("ENTRY"):
                m.d.comb += [table.eq(1), self.write.valid.eq(1)]
                with m.If(self.write.ready):
                    m.d.sync += high.eq(~high)
                    with m.If(high):
                        m.next = "DONE"
            with m.State("DONE"):
                # wait until the entry's access has been taken, so that it can't take words of the next record
                with m.If(span.ready):
                    m.d.comb += self.record.ready.eq(1)
                    m.d.sync += self.end.eq(self.end + record.words)
                    with m.If(self.count == record.index):
                        m.d.sync += self.count.eq(self.count + 1)
                    m.next = "IDLE"
        with m.If(self.forget):
            m.d.sync += [self.count.eq(0), self.end.eq(LOG_AT)]
        return m
