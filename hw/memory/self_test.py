"""Tests whether the memory works, and determines its read delay."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .controller import DELAYS
from .interface import ADDRESS_BITS, BURST, WORD_BITS, Port

#: Lowest address line that differs between accesses; the lines below it select a word of an access.
FIRST_LINE = (BURST - 1).bit_length()


class SelfTest(wiring.Component):
    """Writes a pattern of `BURST` words at address 0 and at each power of two, and reads it back; then its
    complement.

    Read delays are tried from the shortest one until one passes. Neighbouring words differ in every access,
    so words that are sampled too early or too late fail. Each data line is high alone and low alone in some
    word. An address line that is stuck or shorted to another one makes two patterns share an address. The
    previous contents of the tested words are lost.

    Takes about 2,000 cycles for each delay that is tried.

    Members
    -------
    start : In(1)
        The memory may be used.
    port : Out(Port())
    delay : Out(range(DELAYS))
        The delay being tried; at the end, if the memory works, the right one.
    done : Out(1)
        The test is over. Stays high.
    works : Out(1)
        Valid with ``done``: all words were read back correctly.
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
            # one data line high, by word and access; from address line 16 on, one data line low instead
            pattern.eq((Const(1, WORD_BITS) << (word + line)[:4]) ^ (line[4] ^ inverted).replicate(WORD_BITS)),
            access.payload.address.eq(Mux(none, 0, Const(1, ADDRESS_BITS) << line)),
            access.payload.length.eq(BURST),
            # a separate signal: Verilog's `always @*` never sets the constant part of a partly set signal
            access.payload.write.eq(storing),
            write.payload.eq(pattern),
        ]

        def advance(again, after):
            """Goes to the next access in state ``again``; after the last access, to state ``after``."""
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
