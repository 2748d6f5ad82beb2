"""Drive sums: the drives of this half are sent while terms are added to those of the next half."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.hw.lib.adder_tree import plus
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded

#: Cycles between two additions to the same word: it is read in one cycle and written two cycles later.
APART = 3


class DriveSums(wiring.Component):
    """A memory with one read and one write port. In each cycle it adds to a word of the bank that is written,
    or sends a word of the bank that is read, or zeroes a word. Additions to the same word are taken `APART`
    cycles apart. A silent word that is kept takes no turn of the memory.

    A word that is sent is zeroed, so that the next half that writes the bank begins with zeros. Sums are
    exact: ``most`` bounds the sum of the magnitudes of all terms of a half, hence every partial sum.

    Parameters
    ----------
    words, lanes, banks : int
        Words of the layer, drives in a word, and banks of drives.
    bits, most : int
        Width of a drive, and its largest magnitude.
    term_bits : int
        Width of a term.

    Members
    -------
    start : In(1), read_bank : In(range(banks)), silent : In(1), keep : In(1)
        ``start`` sends all words of ``read_bank`` once: as zeros if ``silent``; they aren't zeroed if
        ``keep``.
    write_bank : In(range(banks))
        Bank to which terms are added.
    clear : In(1), clearing : Out(1)
        ``clear`` zeroes all banks, one word a cycle, while ``clearing`` is high; also after each reset.
    add : In(1), ready : Out(1), address : In(range(words))
        Adds to a word; taken in a cycle in which both are high. ``ready`` depends on ``address``.
    terms : In(ArrayLayout(signed(term_bits), lanes)), carry : In(1)
        Two cycles after the address was taken: the terms, and a bit that is added to each lane. 0 in cycles
        to which no addition belongs.
    adding : Out(1)
        High while the sum of an addition is still to be written.
    o : Out(stream.Signature(ArrayLayout(signed(bits), lanes)))
        First word two cycles after the cycle of ``start``, then at most one word in each second cycle.
    """

    def __init__(self, *, words, lanes, banks, bits, most, term_bits):
        self.words, self.lanes, self.banks, self.bits, self.most = words, lanes, banks, bits, most
        self.drives = data.ArrayLayout(signed(bits), lanes)
        super().__init__(
            {
                "start": In(1),
                "read_bank": In(range(banks)),
                "silent": In(1),
                "keep": In(1),
                "write_bank": In(range(banks)),
                "clear": In(1),
                "clearing": Out(1, init=1),
                "add": In(1),
                "ready": Out(1),
                "address": In(range(words)),
                "terms": In(data.ArrayLayout(signed(term_bits), lanes)),
                "carry": In(1),
                "adding": Out(1),
                "o": Out(stream.Signature(self.drives)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = self.banks * self.words
        m.submodules.memory = memory = BlockMemory(shape=self.drives, depth=depth)
        read, write = memory.read_port(), memory.write_port()

        def base(bank):
            return Array(Const(n * self.words, range(depth)) for n in range(self.banks))[bank]

        # -- the address of this cycle: of a word that is zeroed, sent, or added to
        at, left = Signal(range(depth)), Signal(range(self.words + 1))
        silent, keep, send, sending = Signal(), Signal(), Signal(), Signal()
        with m.If(self.start):
            m.d.sync += [
                at.eq(base(self.read_bank)),
                left.eq(self.words),
                silent.eq(self.silent),
                keep.eq(self.keep),
            ]
        with m.Elif(self.clearing | send):
            m.d.sync += at.eq(at + 1)
            with m.If(send):
                m.d.sync += left.eq(left - 1)
            with m.Elif(at == depth - 1):
                m.d.sync += [at.eq(0), self.clearing.eq(0)]
        with m.If(self.clear):
            m.d.sync += [at.eq(0), self.clearing.eq(1)]
        m.d.comb += send.eq((left != 0) & ~self.clearing & ~sending & (~self.o.valid | self.o.ready))
        add1, add2, write1, write2, free = Signal(), Signal(), Signal(), Signal(), Signal()
        address1, address2 = (Signal(range(depth), name=f"address{n}", reset_less=True) for n in (1, 2))
        place = self.address + base(self.write_bank)
        unwritten = (add1 & (address1 == place)) | (add2 & (address2 == place))
        # a silent word that is kept is neither read nor written
        m.d.comb += [free.eq(~self.clearing & (~send | (silent & keep))), self.ready.eq(free & ~unwritten)]
        m.d.comb += read.addr.eq(Mux(free, place, at))

        # -- a cycle later: the word; two cycles later: its sum
        old2 = Signal(self.drives, reset_less=True)
        m.d.sync += [add1.eq(self.add & self.ready), add2.eq(add1), sending.eq(send)]
        m.d.sync += write1.eq((self.add & self.ready) | self.clearing | (send & ~keep))
        m.d.sync += [write2.eq(write1), address1.eq(read.addr), address2.eq(address1), old2.eq(read.data)]
        with m.If(~add1):
            m.d.sync += old2.eq(0)
        m.d.comb += [write.addr.eq(address2), write.en.eq(write2), self.adding.eq(add1 | add2)]
        for lane in range(self.lanes):
            sum_ = plus(old2[lane], self.terms[lane], self.carry)
            m.d.comb += bounded(
                write.data[lane], sum_, -self.most, self.most, "every partial sum of terms, by `most`"
            )

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(sending):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(read.data)]
            with m.If(silent):
                m.d.sync += self.o.payload.eq(0)
        return m
