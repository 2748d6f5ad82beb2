"""Tests whether the memory works, and determines its read delay."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
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
        # one-hot and rotated: numbers would need decoders. The access, first that to address 0; the data
        # line, by word and access
        place = Signal(1 + ADDRESS_BITS - FIRST_LINE, init=1)
        line = Signal(WORD_BITS, init=1)
        word = Signal(range(BURST))
        # from access 16 on, one data line is low instead of high
        low, inverted = Signal(), Signal()
        differs, wrong, storing, last = Signal(), Signal(), Signal(), Signal()
        pattern = Signal(WORD_BITS)
        m.d.comb += [
            last.eq(place[-1]),
            pattern.eq(line ^ (low ^ inverted).replicate(WORD_BITS)),
            access.payload.address.eq(Cat(Const(0, FIRST_LINE), place[1:])),
            access.payload.length.eq(BURST),
            # a separate signal: Verilog's `always @*` never sets the constant part of a partly set signal
            access.payload.write.eq(storing),
            write.payload.eq(pattern),
        ]

        def advance(again, after):
            """Goes to the next access in state ``again``; after the last access, to state ``after``."""
            m.d.sync += [place.eq(place.rotate_left(1)), low.eq((low | place[WORD_BITS - 1]) & ~last)]
            m.d.sync += line.eq(Mux(last, 1, line.rotate_left(1)))
            m.next = again
            with m.If(last):
                m.next = after

        def next_word():
            # all words of an access rotate `line` back to the first one
            m.d.sync += [word.eq(word + 1), line.eq(line.rotate_left(1))]

        m.d.sync += [
            differs.eq(read.valid & read.ready & (read.payload != pattern)),
            wrong.eq(wrong | differs),
        ]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start & ~self.done):
                    m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += write.valid.eq(1)
                with m.If(write.ready):
                    next_word()
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
                    next_word()
                    with m.If(word == BURST - 1):
                        m.next = "ADVANCE"
            with m.State("ADVANCE"):
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
