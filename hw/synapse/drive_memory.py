"""Drive memory: stores the drives of the next half while those of the current half are sent."""

from amaranth.hdl import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.flow import Flow


class DriveMemory(wiring.Component):
    """Banks of a layer's drives; one bank is written while another is sent.

    Drives computed from spikes use the bank numbers of those spikes: the drives of the free phase's last
    spikes stay in a bank of their own, which both nudged phases read first. Words that are never written are
    0: the last row and column of an odd map, which an average pool drops, get no drive from above.

    Parameters
    ----------
    layer : Layer
    lanes, bits : int
        Number of drives in a word, and the stored width of each.
    wide : int
        Words written at once, of neighbouring columns of a line: one row of the memory.
    banks : int

    Attributes
    ----------
    rows_of_line, words : int
        Memory rows for a line of the map; words of the layer.
    row : ArrayLayout(ArrayLayout(signed(bits), lanes), wide)

    Members
    -------
    start : In(1), read_bank : In, silent : In(1)
        ``start`` sends all words of ``read_bank`` once, as zeros if ``silent``.
    write_bank : In
        Bank to which ``i`` is written.
    i : In(Flow({address, drives}))
        One memory row. Address: (channel group * height + y) * rows_of_line + x // wide. Columns beyond
        the layer's width are ignored.
    o : Out(stream.Signature(ArrayLayout(signed(bits), lanes)))
        First word two cycles after ``start``, then one word in each cycle in which ``ready`` is high.
    """

    def __init__(self, layer: Layer, *, lanes, bits, banks, wide=1):
        self.layer, self.lanes, self.bits, self.wide, self.banks = layer, lanes, bits, wide, banks
        lines = layer.channels // lanes * layer.height
        self.rows_of_line, self.words = -(-layer.width // wide), lines * layer.width
        self.rows = lines * self.rows_of_line
        self.drives = data.ArrayLayout(signed(bits), lanes)
        self.row = data.ArrayLayout(self.drives, wide)
        item = data.StructLayout({"address": bits_for(self.rows - 1), "drives": self.row})
        super().__init__(
            {
                "start": In(1),
                "read_bank": In(range(banks)),
                "silent": In(1),
                "write_bank": In(range(banks)),
                "i": In(Flow(item)),
                "o": Out(stream.Signature(self.drives)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words, rows, wide, columns = self.words, self.rows, self.wide, self.layer.width
        depth = self.banks * rows
        m.submodules.memory = memory = BlockMemory(shape=self.row, depth=depth, zeros=True)
        read, write = memory.read_port(), memory.write_port()

        def base(bank):
            return Array(Const(n * rows, range(depth)) for n in range(self.banks))[bank]

        written = Signal(self.i.payload.shape(), reset_less=True)
        writing, address = Signal(), Signal(range(depth))
        m.d.sync += [writing.eq(self.i.valid), written.eq(self.i.payload)]
        m.d.sync += address.eq(self.i.payload.address + base(self.write_bank))
        m.d.comb += [write.addr.eq(address), write.data.eq(written.drives), write.en.eq(writing)]

        at, left = Signal(range(depth)), Signal(range(words + 1))
        column, spot, shown = Signal(range(columns)), Signal(range(wide)), Signal(range(wide))
        m.d.comb += [read.addr.eq(at), read.en.eq(~self.o.valid | self.o.ready)]
        with m.If(read.en):
            m.d.sync += [self.o.valid.eq(left != 0), shown.eq(spot)]
            with m.If(left != 0):
                m.d.sync += [left.eq(left - 1), column.eq(column + 1), spot.eq(spot + 1)]
                with m.If((spot == wide - 1) | (column == columns - 1)):
                    m.d.sync += [at.eq(at + 1), spot.eq(0)]
                with m.If(column == columns - 1):
                    m.d.sync += column.eq(0)
        silent = Signal()
        with m.If(self.start):
            m.d.sync += [at.eq(base(self.read_bank)), left.eq(words), silent.eq(self.silent)]
            m.d.sync += [column.eq(0), spot.eq(0)]
        word = Array(read.data[n].as_value() for n in range(wide))[shown]
        m.d.comb += self.o.payload.eq(Mux(silent, 0, word))
        return m
