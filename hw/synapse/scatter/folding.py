"""Folded kernels of scatter engines: convolution and pool as one kernel of side k + 1, stride 2.

folded[a, b] = sum over dy, dx in {0, 1} of w[a - dy, b - dx]        (w is 0 outside of the kernel)
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import wraps
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import tile


def folding(m, lane: int, moving, weight, outside, side: int):
    """Return the folded weight of a lane, two bits wider than ``weight``, as logic.

    Folded taps come row by row, ``side`` in each row; weight: w[a, b], ignored if ``outside`` of the kernel.
    A cycle later the folded weight is current, and moves on to the next tap if ``moving`` is high. The last
    column and row must be outside: all registers are then 0 after each kernel.
    """
    bits = len(weight)
    new, before = (
        Signal(signed(bits), name=f"new_{lane}", reset_less=True),
        Signal(signed(bits), name=f"before_{lane}"),
    )
    # sums of two neighbouring columns, of the row before
    pairs = [Signal(signed(bits + 1), name=f"pair_{lane}_{n}") for n in range(side)]
    pair, folded = (
        Signal(signed(bits + 1), name=f"sum_{lane}"),
        Signal(signed(bits + 2), name=f"folded_{lane}"),
    )
    m.d.comb += [pair.eq(new + before), folded.eq(pair + pairs[-1])]
    m.d.sync += new.eq(Mux(outside, 0, weight))
    with m.If(moving):
        m.d.sync += [before.eq(new), pairs[0].eq(pair)]
        m.d.sync += [pairs[n].eq(pairs[n - 1]) for n in range(1, side)]
    return folded


def even_side(bundle: Bundle) -> int:
    """Return a folded kernel's side rounded up to even: k + 1, or k + 2 with a last row and column of 0."""
    return bundle.kernel + 1 + (bundle.kernel + 1) % 2


def folded_words(config: Config, bundle: Bundle) -> int:
    """Return the number of words of `FoldedWeights`."""
    return config.groups(bundle.post) * bundle.pre.channels * even_side(bundle) ** 2


def folding_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles in which `FoldedWeights` computes all words, one in each cycle."""
    return folded_words(config, bundle) + 2


class FoldedWeights(wiring.Component):
    """Folded kernels for the forward direction, computed after each commit. A word has the weights between
    one pre channel and the lanes of a post group, of one folded tap. With ``side = even_side(bundle)`` its
    address is ``((post group * pre channels + pre channel) * side + a) * side + b``.

    Latency: `folding_cycles`.

    Members
    -------
    prepare : In(1)
        One-cycle pulse after a commit: computes all words.
    busy : Out(1)
        High from the cycle after ``prepare`` until that is done.
    done : Out(1)
        High in the last cycle of ``busy``.
    tile_address : Out, tile : In(tile)
        Synchronous read port of the working memory, each word of which belongs to one pre channel.
    address : In, weights : Out(ArrayLayout(signed(weight_bits + 2), post lanes))
        The word at the address of the previous cycle.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.word = data.ArrayLayout(signed(config.spec.formats.weight_bits + 2), config.lanes[bundle.index])
        self.depth = folded_words(config, bundle)
        super().__init__(
            {
                "prepare": In(1),
                "busy": Out(1),
                "done": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "address": In(range(self.depth)),
                "weights": Out(self.word),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pre_lanes, k, side = (
            self.config.lanes[self.bundle.pre.index],
            self.bundle.kernel,
            even_side(self.bundle),
        )
        m.submodules.memory = memory = BlockMemory(shape=self.word, depth=self.depth)
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [read.addr.eq(self.address), self.weights.eq(read.data)]

        cycles = folding_cycles(self.config, self.bundle)
        # the folded tap whose weight is read; it is written two cycles later
        pre_lane, a, b, cycle = (
            Signal(range(pre_lanes)),
            Signal(range(side)),
            Signal(range(side)),
            Signal(range(cycles)),
        )
        within, outside, address = Signal(), Signal(), self.tile_address
        m.d.comb += [within.eq((a < k) & (b < k)), self.done.eq(self.busy & (cycle == cycles - 1))]
        m.d.sync += outside.eq(~within)
        why = "the address behind the last weight, and cycles without one to write, aren't used"
        with m.If(self.busy):
            with m.If(within):
                m.d.sync += wraps(address, address + pre_lanes, why)
            with counting(m, b, side), counting(m, a, side):
                # `address` is a kernel behind the channel's first tap
                m.d.sync += wraps(address, address + 1 - k * k * pre_lanes, why)
                with counting(m, pre_lane, pre_lanes):
                    m.d.sync += wraps(address, address + 1 - pre_lanes, why)
            m.d.sync += cycle.eq(cycle + 1)
            with m.If(self.done):
                m.d.sync += [value.eq(0) for value in (self.busy, cycle, address, pre_lane, a, b)]
        with m.If(self.prepare):
            m.d.sync += self.busy.eq(1)
        m.d.comb += [write.en.eq(self.busy & (cycle >= 2)), wraps(write.addr, cycle - 2, why)]
        m.d.comb += [
            written.eq(folding(m, lane, write.en, weight, outside, side))
            for lane, (written, weight) in enumerate(zip(write.data, self.tile, strict=True))
        ]
        return m
