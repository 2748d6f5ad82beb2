"""Kernel registers: hold the weights of one tile of channels while planes are streamed."""

from contextlib import contextmanager

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle

from .interface import tile


class KernelLoader(wiring.Component):
    """Reads ``k * k`` consecutive words of the working memory, one tap each, into registers.

    Latency: k*k + 1 cycles.

    Members
    -------
    start : In(1)
        One-cycle pulse, while not ``busy``.
    base : In
        Address of tap 0; stable while ``busy``.
    busy : Out(1)
        High for k*k + 1 cycles after ``start``; then ``taps`` is complete.
    tile_address : Out, tile : In
        Synchronous read port of the working memory.
    taps : Out(ArrayLayout(tile, k * k))
        The weights of the tile.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.count = bundle.kernel**2
        address = bits_for(layout.tiles(config, bundle) - 1)
        super().__init__(
            {
                "start": In(1),
                "base": In(address),
                "busy": Out(1),
                "tile_address": Out(address),
                "tile": In(tile(config, bundle)),
                "taps": Out(data.ArrayLayout(tile(config, bundle), self.count)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tap = Signal(range(self.count + 1))
        m.d.comb += self.tile_address.eq(self.base + tap)
        with m.If(self.busy):
            m.d.sync += tap.eq(tap + 1)
            for i in range(self.count):
                with m.If(tap == i + 1):
                    m.d.sync += self.taps[i].eq(self.tile)
            with m.If(tap == self.count):
                m.d.sync += [tap.eq(0), self.busy.eq(0)]
        with m.Elif(self.start):
            m.d.sync += self.busy.eq(1)
        return m

    def weight(self, tap, pre_lane, post_lane):
        """Return a weight of the loaded tile."""
        return self.taps[tap][pre_lane * self.config.lanes[self.bundle.index] + post_lane]

    @contextmanager
    def for_each_tile(self, m, *, start, begin, load, run, done):
        """Build the states IDLE to RUN of an engine's state machine: load a tile's kernels, stream its
        planes, go on with the next tile.

        begin, load: statements for ``sync`` that reset the engine's counters, before all tiles and before
        each. run: pairs (domain, statements) that start a tile's planes. done: high once all sums of the tile
        are complete. Statements inside the context advance to the next tile; the next state is LOAD unless
        they set another.
        """
        with m.State("IDLE"):
            with m.If(start):
                m.d.sync += [*begin, self.base.eq(0)]
                m.next = "LOAD"
        with m.State("LOAD"):
            m.d.comb += self.start.eq(1)
            m.d.sync += load
            m.next = "LOADING"
        with m.State("LOADING"):
            with m.If(~self.busy):
                for domain, statement in run:
                    m.d[domain] += statement
                m.next = "RUN"
        with m.State("RUN"):
            with m.If(done):
                m.d.sync += self.base.eq(self.base + self.count)
                m.next = "LOAD"
                yield
