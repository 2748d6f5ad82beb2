"""Transposed weights: a copy of a convolution's working weights, in words for single post channels."""

from amaranth.hdl import Array, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import tile


def copy_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a copy: one to read each word of the working memory, one for each weight."""
    return layout.tiles(config, bundle) * (1 + config.lanes[bundle.index])


class TransposedWeights(wiring.Component):
    """A word has the weights between the lanes of a pre group and one post channel, of one tap. Address:
    ``(pre group * k*k + tap) * post channels + post channel``.

    The weights are copied after each commit, one in each cycle.
    Latency: `copy_cycles`.

    Members
    -------
    prepare : In(1)
        One-cycle pulse after a commit: copies all weights.
    busy : Out(1)
        High from the cycle after ``prepare`` until that is done.
    tile_address : Out, tile : In(tile)
        Synchronous read port of the working memory, each word of which belongs to one pre channel.
    read : In(1), address : In
        ``weights`` changes only after a cycle in which ``read`` is high.
    weights : Out(ArrayLayout(signed(weight_bits), pre lanes))
        The word at the address of that cycle.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        weight = signed(config.spec.formats.weight_bits)
        self.word = data.ArrayLayout(weight, config.lanes[bundle.pre.index])
        self.depth = bundle.weights // self.word.length
        super().__init__(
            {
                "prepare": In(1),
                "busy": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "read": In(1),
                "address": In(range(self.depth)),
                "weights": Out(self.word),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre_lanes, lanes, channels = self.word.length, config.lanes[bundle.index], bundle.post.channels
        m.submodules.memory = memory = BlockMemory(shape=self.word, depth=self.depth)
        read, write = memory.read_port(), memory.write_port(granularity=1)
        m.d.comb += [read.addr.eq(self.address), read.en.eq(self.read), self.weights.eq(read.data)]

        # loops over the working memory's words: post groups, then (pre group, tap), then pre lanes
        row, base = Signal(range(self.depth)), Signal(range(channels))
        pre_lane, place = Signal(range(pre_lanes)), Signal(range(lanes + 1))
        lane = Signal(range(lanes))
        m.d.comb += lane.eq(place - 1)
        m.d.comb += write.addr.eq(row + base + lane)
        m.d.comb += [weight.eq(Array(self.tile)[lane]) for weight in write.data]
        m.d.comb += write.en.eq((self.busy & (place != 0)) << pre_lane)
        with m.If(self.busy), counting(m, place, lanes + 1):
            m.d.sync += self.tile_address.eq(self.tile_address + 1)
            with counting(m, pre_lane, pre_lanes):
                m.d.sync += row.eq(row + channels)
                with m.If(row == self.depth - channels):
                    m.d.sync += [row.eq(0), base.eq(base + lanes)]
                    with m.If(base == channels - lanes):
                        m.d.sync += [base.eq(0), self.tile_address.eq(0), self.busy.eq(0)]
        with m.If(self.prepare):
            m.d.sync += self.busy.eq(1)
        return m
