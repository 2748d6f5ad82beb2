"""Finds out whether a memory answers, and how long its words are on the way."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .controller import DELAYS
from .interface import ADDRESS_BITS, BURST, WORD_BITS, Port

#: First address line that tells accesses apart; those below it tell the words of one.
FIRST_LINE = (BURST - 1).bit_length()


class SelfTest(wiring.Component):
    """Writes a pattern to word 0 and to each power of two, `BURST` words each, and reads it back; then its complement.

    For each read delay, from the shortest, until one passes. Neighbouring words are different in every access, so words that
    are taken too early or too late don't pass; each data line is seen high alone and low alone; an address line that is stuck
    or tied to another makes two patterns fall on one place. What the memory held there is lost.

    Takes about 2,000 cycles for each delay that is tried.

    Members
    -------
    start : In(1)
        The memory may be used.
    port : Out(Port())
    delay : Out(range(DELAYS))
        The one that is tried; the right one at the end, if it works.
    done : Out(1)
        Stays.
    works : Out(1)
        With ``done``: the memory answered as it must.
    """

    start: In(1)
    port: Out(Port())
    delay: Out(range(DELAYS))
    done: Out(1)
    works: Out(1)

    def elaborate(self, platform):
        m = Module()
        access, write, read = self.port.access, self.port.write, self.port.read
        # the address line that is high, `FIRST_LINE` - 1 for none
        line = Signal(range(ADDRESS_BITS), init=FIRST_LINE - 1)
        word = Signal(range(BURST))
        inverted, wrong, storing = Signal(), Signal(), Signal()
        none, last = Signal(), Signal()
        pattern = Signal(WORD_BITS)
        m.d.comb += [
            none.eq(line == FIRST_LINE - 1),
            last.eq(line == ADDRESS_BITS - 1),
            # one line high, another one for each word and access; beyond 16 accesses one line low instead
            pattern.eq((Const(1, WORD_BITS) << (word + line)[:4]) ^ (line[4] ^ inverted).replicate(WORD_BITS)),
            access.payload.address.eq(Mux(none, 0, Const(1, ADDRESS_BITS) << line)),
            access.payload.length.eq(BURST),
            # apart: Verilog's `always @*` never sets what is constant, if only part of a signal is set elsewhere
            access.payload.write.eq(storing),
            write.payload.eq(pattern),
        ]

        def advance(again, after):
            """To the next access in that state; after the last access, to the other state."""
            m.d.sync += line.eq(Mux(last, FIRST_LINE - 1, line + 1))
            m.next = again
            with m.If(last):
                m.next = after

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start & ~self.done):
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += write.valid.eq(1)
                with m.If(write.ready):
                    m.d.sync += word.eq(word + 1)
                    with m.If(word == BURST - 1):
                        m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [storing.eq(1), access.valid.eq(1)]
                with m.If(access.ready):
                    advance("FILL", "READ")
            with m.State("READ"):
                m.d.comb += access.valid.eq(1)
                with m.If(access.ready):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.comb += read.ready.eq(1)
                with m.If(read.valid):
                    m.d.sync += word.eq(word + 1)
                    with m.If(read.payload != pattern):
                        m.d.sync += wrong.eq(1)
                    with m.If(word == BURST - 1):
                        advance("READ", "JUDGE")
            with m.State("JUDGE"):
                m.d.sync += [wrong.eq(0), inverted.eq(~inverted & ~wrong)]
                m.next = "FILL"
                with m.If(wrong):
                    m.d.sync += self.delay.eq(self.delay + 1)
                    with m.If(self.delay == DELAYS - 1):
                        m.d.sync += self.done.eq(1)
                        m.next = "IDLE"
                with m.Elif(inverted):
                    m.d.sync += [self.done.eq(1), self.works.eq(1)]
                    m.next = "IDLE"
        return m
