"""Kernel registers: the weights of one tile of channels stay here while planes pass."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle

from .interface import tile


class KernelLoader(wiring.Component):
    """Reads ``k * k`` consecutive words of the working memory, one tap each, into registers.

    Members
    -------
    start : In(1)
        One cycle, while not busy.
    base : In
        Address of tap 0; stable while busy.
    busy : Out(1)
        High for k*k + 1 cycles after ``start``; then ``taps`` is complete.
    tile_address : Out, tile : In
        Synchronous read of the working memory.
    taps : Out(ArrayLayout(tile, k * k))
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

    def kernel(self, outputs, inputs, weight_of):
        """Weights in the order of `Convolution.weights`: ``weight_of(output, input, tap)`` picks (tap, pre, post)."""
        post = self.config.lanes[self.bundle.index]
        picked = []
        for output in range(outputs):
            for channel in range(inputs):
                for tap in range(self.count):
                    at, pre_lane, post_lane = weight_of(output, channel, tap)
                    picked.append(self.taps[at][pre_lane * post + post_lane])
        return picked
