"""Spike window: the newest spikes of a layer, of which any 2x2 blocks are read in one cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.loops import counting

from .interface import spikes_of


class SpikeWindow(wiring.Component):
    """Stores blocks in four memories, selected by the parities of a block's row and column, so that any 2x2
    neighbouring blocks lie in different memories.

    Parameters
    ----------
    config : Config
    layer : Layer
    block : int
        Side of a block in positions: 2 or 1.
    border : int
        Blocks without spikes before the first row and column. They are never written, so they keep the zeros
        of power-up.

    Members
    -------
    i : In(Flow(spikes_of))
        All words of the layer in order, step after step.
    count : Out
        Words that have arrived since ``start``.
    start : In(1)
        One-cycle pulse, once all words of a step have arrived.
    row, column : In
        Row and column of the upper left block of the window, counted with the border.
    window : Out(ArrayLayout(ArrayLayout(ArrayLayout(unsigned(channels * spike_bits), block * block), 2), 2))
        ``window[jy][jx][spot]`` of block (row + jy, column + jx), in the same cycle.
    """

    #: Cycles from ``row`` and ``column`` to ``window``.
    latency = 0

    def __init__(self, config: Config, layer: Layer, *, block: int, border: int):
        self.config, self.layer, self.block, self.border = config, layer, block, border
        self.rows = border + -(-layer.height // block) + 1
        self.columns = border + -(-layer.width // block) + 1
        spots = data.ArrayLayout(unsigned(layer.channels * config.spec.spike_bits), block * block)
        super().__init__(
            {
                "i": In(Flow(spikes_of(config, layer))),
                "start": In(1),
                "count": Out(range(config.words(layer) + 1)),
                "row": In(bits_for(self.rows - 2)),
                "column": In(bits_for(self.columns - 2)),
                "window": Out(data.ArrayLayout(data.ArrayLayout(spots, 2), 2)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer, block, border, bits = self.layer, self.block, self.border, self.config.spec.spike_bits
        word = self.config.lanes[layer.index] * bits
        groups, spots = self.config.groups(layer), block * block

        # -- words arrive in order, so positions are counted instead of divided out of the address
        y, x, group = Signal(range(layer.height)), Signal(range(layer.width)), Signal(range(groups))
        with m.If(self.i.valid):
            m.d.sync += [x.eq(x + 1), self.count.eq(self.count + 1)]
            with m.If(x == layer.width - 1):
                m.d.sync += x.eq(0)
                with counting(m, y, layer.height), counting(m, group, groups):
                    pass
        with m.If(self.start):
            m.d.sync += self.count.eq(0)
        shift = bits_for(block) - 1
        row, column, spot = Signal(range(self.rows)), Signal(range(self.columns)), Signal(range(spots))
        m.d.comb += [row.eq((y >> shift) + border), column.eq((x >> shift) + border)]
        if block == 2:
            m.d.comb += spot.eq(Cat(x[0], y[0]))

        # -- one memory for each parity; the address is row // 2 and column // 2, concatenated
        row_bits, column_bits = max(bits_for(self.rows - 1) - 1, 1), max(bits_for(self.columns - 1) - 1, 1)
        width = spots * layer.channels * bits

        def half(value, bits):
            """Return value // 2 in ``bits`` bits."""
            return Cat(value[1:], Const(0, bits))[:bits]

        banks = {}
        for by in range(2):
            for bx in range(2):
                # not a `WrittenMemory`: the border needs the zeros of power-up
                memory = Memory(shape=unsigned(width), depth=1 << (row_bits + column_bits), init=[])
                m.submodules[f"bank_{by}{bx}"] = memory
                write, read = memory.write_port(granularity=word), memory.read_port(domain="comb")
                m.d.comb += [
                    write.addr.eq(Cat(half(column, column_bits), half(row, row_bits))),
                    write.data.eq(self.i.payload.spikes.replicate(width // word)),
                    write.en.eq(
                        Mux(
                            self.i.valid & (row[0] == by) & (column[0] == bx), 1 << (spot * groups + group), 0
                        )
                    ),
                ]
                # The window's block of this parity: the first, or the one after it.
                at_row, at_column = Signal(range(self.rows)), Signal(range(self.columns))
                m.d.comb += [
                    at_row.eq(self.row + (self.row[0] != by)),
                    at_column.eq(self.column + (self.column[0] != bx)),
                    read.addr.eq(Cat(half(at_column, column_bits), half(at_row, row_bits))),
                ]
                banks[by, bx] = read.data
        for jy in range(2):
            for jx in range(2):
                columns = [Mux(self.column[0] ^ jx, banks[by, 1], banks[by, 0]) for by in range(2)]
                m.d.comb += self.window[jy][jx].as_value().eq(Mux(self.row[0] ^ jy, columns[1], columns[0]))
        return m
