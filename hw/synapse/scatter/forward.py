"""Forward half of the scatter engine: the pooled positions that a pre spike drives, tap by tap."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import registered
from nudge.hw.lib.bounds import bounded, wraps
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import tile, weighed

from .queue import spike_of

#: Cycles between two additions to the same word (`hw.synapse.scatter.sums.DriveSums`).
APART = 3


def times(value, factor: int):
    """Return value * factor, from shifts and adders instead of a multiplier."""
    parts = [value << n for n in range(factor.bit_length()) if factor >> n & 1]
    return sum(parts[1:], parts[0])


def slots(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a tap: one for each post group, and at least `APART`."""
    return max(config.groups(bundle.post), APART)


class ForwardScatter(wiring.Component):
    """Adds the kernel of each pre spike to the drives of the post layer, a tap and a post group in each cycle.

    A spike at (y, x) meets tap (ky, kx) at row y + padding - ky of the map before pooling, and likewise column;
    the pooled position is half of both. A tap that meets no pooled position takes a cycle, or none while the
    groups of the tap before it are added.

    Latency: `slots` cycles a tap; two cycles from a spike to its first address.

    Members
    -------
    i : In(stream.Signature(spike_of))
        Spikes of the pre layer.
    busy : Out(1)
        High while a spike is processed.
    tile_address : Out, tile : In(tile)
        Synchronous read port of the working memory, each word of which belongs to one pre channel.
    add, ready, address, terms, carry
        Additions to `hw.synapse.scatter.sums.DriveSums`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.words = config.words(bundle.post)
        super().__init__(
            {
                "i": In(stream.Signature(spike_of(config, bundle.pre))),
                "busy": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "add": Out(1),
                "ready": In(1),
                "address": Out(range(self.words)),
                "terms": Out(data.ArrayLayout(signed(config.spec.formats.weight_bits), config.lanes[bundle.index])),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle, spike = self.config, self.bundle, self.i.payload
        pre, post, k = bundle.pre, bundle.post, bundle.kernel
        lanes, groups, padding = config.lanes[pre.index], config.groups(post), bundle.padding
        of_group = layout.tiles(config, bundle) // groups
        why = "a spike's channel and a tap give a word of the first post group"

        # -- the next tap: its row and column of the map before pooling, and its word in the first post group
        have, negative = Signal(), Signal()
        ky, kx = Signal(range(k)), Signal(range(k))
        sides = (("row", pre.height), ("column", pre.width))
        row, column = (Signal(range(-k, side + padding), name=name) for name, side in sides)
        first_column = Signal.like(column)
        word = Signal(range(of_group))
        inside, load = Signal(), Signal()
        m.d.comb += inside.eq((row >= 0) & (row < 2 * post.height) & (column >= 0) & (column < 2 * post.width))
        last_tap = (ky == k - 1) & (kx == k - 1)
        leave = Signal()  # the tap is loaded, or it drives nothing
        m.d.comb += [leave.eq(have & (load | ~inside)), self.i.ready.eq(~have | (leave & last_tap))]
        with m.If(leave):
            m.d.sync += wraps(column, column - 1, "down to -k")
            m.d.sync += wraps(word, word + lanes, "the word behind the last isn't used")
            with counting(m, kx, k):
                m.d.sync += [column.eq(first_column), wraps(row, row - 1, "down to -k")]
                with counting(m, ky, k):
                    m.d.sync += have.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [have.eq(1), negative.eq(spike.negative)]
            m.d.sync += [row.eq(spike.y + padding), column.eq(spike.x + padding), first_column.eq(spike.x + padding)]
            m.d.sync += bounded(word, times(spike.base, k * k) + spike.lane, 0, of_group - 1, why)

        # -- the current tap: a post group in each slot
        active, sign, slot = Signal(), Signal(), Signal(range(slots(config, bundle)))
        address, moving = Signal(range(self.words)), Signal()
        last = slots(config, bundle) - 1
        m.d.comb += [self.add.eq(active & (slot < groups)), self.address.eq(address)]
        m.d.comb += moving.eq(~self.add | self.ready)
        m.d.comb += load.eq(~active | (moving & (slot == last)))
        with m.If(load):
            m.d.sync += [active.eq(have & inside), slot.eq(0), sign.eq(negative), self.tile_address.eq(word)]
            pooled_row, pooled_column = row[1:][: bits_for(post.height - 1)], column[1:][: bits_for(post.width - 1)]
            place = times(pooled_row, post.width) + pooled_column
            m.d.sync += wraps(address, place, "it is used only if the tap is inside")
        with m.Elif(moving):
            m.d.sync += slot.eq(slot + 1)
            m.d.sync += wraps(self.tile_address, self.tile_address + of_group, "slots behind the last group add nothing")
            m.d.sync += wraps(address, address + post.positions, "slots behind the last group add nothing")
        m.d.comb += self.busy.eq(have | active)

        # -- a cycle later: the weights; two cycles later: the terms
        add1, sign1 = Signal(), Signal()
        m.d.sync += [add1.eq(self.add & self.ready), sign1.eq(sign)]
        shown = (add1, sign1) if config.spec.spike_bits > 1 else (add1,)
        for lane, weight in enumerate(self.tile):
            term, carry = registered(m, *weighed(Cat(*shown), weight))
            m.d.comb += self.terms[lane].eq(term)
            if carry is not None and lane == 0:
                m.d.comb += self.carry.eq(carry)
        return m
