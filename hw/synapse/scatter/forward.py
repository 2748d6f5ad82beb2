"""Forward half of the scatter engine: the pooled positions that a pre spike drives, tap by tap or folded."""

from functools import lru_cache
from itertools import product

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
from nudge.hw.synapse.interface import weighed

from .folding import even_side, folded_words
from .queue import spike_of
from .sums import APART


def times(value, factor: int):
    """Return value * factor, from shifts and adders instead of a multiplier."""
    parts = [value << n for n in range(factor.bit_length()) if factor >> n & 1]
    return sum(parts[1:], parts[0])


def walk(bundle: Bundle, folds: bool) -> tuple[int, int]:
    """Return the taps of a spike in each row and column, and how many rows of the map lie between two of
    them.

    folds: whether the kernels are folded; a spike then meets each pooled position once.
    """
    return (even_side(bundle) // 2, 2) if folds else (bundle.kernel, 1)


@lru_cache
def spike_cycles(bundle: Bundle, groups: int, folds: bool) -> list[list[int]]:
    """Return the cycles of a spike in `ForwardScatter` by its row and column: from the end of a spike at the
    same place to its own end, if ``ready`` is low only for words that are still being added to. groups: of
    the post layer.
    """
    count, stride = walk(bundle, folds)
    sides = ((bundle.pre.height, bundle.post.height), (bundle.pre.width, bundle.post.width))
    rows, columns = (
        [[(at + bundle.padding - stride * n, 2 * pooled) for n in range(count)] for at in range(size)]
        for size, pooled in sides
    )

    def cycles(taps) -> int:
        # cycle in which the next tap may be looked at, and that of the last addition
        looked = added = end = 0
        last: dict[tuple[int, int, int], int] = {}
        for _ in range(2):
            begin = end
            for (row, height), (column, width) in taps:
                if 0 <= row < height and 0 <= column < width:
                    added = max(looked, added)
                    looked = added + 1
                    for group in range(groups):
                        word = row // 2, column // 2, group
                        added = last[word] = max(added + 1, last.get(word, -APART) + APART)
                else:
                    looked += 1
            end = max(looked, added)
        return end - begin if last else 0  # a spike out of reach isn't queued

    return [[cycles(list(product(row, column))) for column in columns] for row in rows]


class ForwardScatter(wiring.Component):
    """Adds the kernel of each pre spike to the drives of the post layer, a tap and a post group in each
    cycle.

    A spike at (y, x) meets tap (ky, kx) at row y + padding - ky of the map before pooling, and likewise
    column; the pooled position is half of both. With folded kernels (`Config.folded`) it meets each pooled
    position once, by the folded taps (a, b) of the parity of y + padding and x + padding. A tap that meets no
    pooled position takes a cycle, or none while the groups of the tap before it are added.

    Latency: `spike_cycles`; two cycles from a spike to its first address.

    Members
    -------
    i : In(stream.Signature(spike_of))
        Spikes of the pre layer.
    busy : Out(1)
        High while a spike is processed.
    weight_address : Out, weights : In
        Synchronous read port of the working memory, each word of which belongs to one pre channel, or of
        `hw.synapse.scatter.folding.FoldedWeights`.
    add, ready, address, terms, carry
        Additions to `hw.synapse.scatter.sums.DriveSums`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.words, self.folds = config.words(bundle.post), bundle.index in config.folded
        self.depth = folded_words(config, bundle) if self.folds else layout.tiles(config, bundle)
        weight = signed(config.spec.formats.weight_bits + 2 * self.folds)
        weights = data.ArrayLayout(weight, config.lanes[bundle.index])
        super().__init__(
            {
                "i": In(stream.Signature(spike_of(config, bundle.pre))),
                "busy": Out(1),
                "weight_address": Out(bits_for(self.depth - 1)),
                "weights": In(weights),
                "add": Out(1),
                "ready": In(1),
                "address": Out(range(self.words)),
                "terms": Out(weights),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle, spike = self.config, self.bundle, self.i.payload
        pre, post, groups, padding = bundle.pre, bundle.post, config.groups(bundle.post), bundle.padding
        count, stride = walk(bundle, self.folds)
        of_group = self.depth // groups
        y, x = spike.y + padding, spike.x + padding
        if self.folds:
            side = even_side(bundle)
            first_word = times(spike.base + spike.lane, side * side) + times(y[0], side) + x[0]
            next_word, next_row = 2, side + 2
        else:
            first_word = times(spike.base, bundle.kernel**2) + spike.lane
            next_word = next_row = config.lanes[pre.index]

        # -- the next tap: its row and column of the map before pooling, and its word in the first post group
        have, negative = Signal(), Signal()
        at_row, at_column = Signal(range(count)), Signal(range(count))
        sides = (("row", pre.height), ("column", pre.width))
        row, column = (Signal(range(-stride * count, size + padding), name=name) for name, size in sides)
        first_column = Signal.like(column)
        word = Signal(range(of_group))
        inside, load = Signal(), Signal()
        m.d.comb += inside.eq(
            (row >= 0) & (row < 2 * post.height) & (column >= 0) & (column < 2 * post.width)
        )
        last_tap = (at_row == count - 1) & (at_column == count - 1)
        leave = Signal()  # the tap is loaded, or it drives nothing
        m.d.comb += [leave.eq(have & (load | ~inside)), self.i.ready.eq(~have | (leave & last_tap))]
        why = "the word behind the last isn't used"
        with m.If(leave):
            m.d.sync += wraps(column, column - stride, "down to -stride * count")
            m.d.sync += wraps(word, word + next_word, why)
            with counting(m, at_column, count):
                m.d.sync += [column.eq(first_column), wraps(row, row - stride, "down to -stride * count")]
                m.d.sync += wraps(word, word + next_row, why)
                with counting(m, at_row, count):
                    m.d.sync += have.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [have.eq(1), negative.eq(spike.negative), row.eq(y), column.eq(x), first_column.eq(x)]
            m.d.sync += bounded(
                word, first_word, 0, of_group - 1, "a spike's channel and a tap give a word of a group"
            )

        # -- the current tap: a post group in each cycle
        active, sign, group = Signal(), Signal(), Signal(range(groups))
        address, moving = Signal(range(self.words)), Signal()
        m.d.comb += [self.add.eq(active), self.address.eq(address), moving.eq(active & self.ready)]
        m.d.comb += load.eq(~active | (moving & (group == groups - 1)))
        with m.If(load):
            m.d.sync += [
                active.eq(have & inside),
                group.eq(0),
                sign.eq(negative),
                self.weight_address.eq(word),
            ]
            pooled_row, pooled_column = (
                row[1:][: bits_for(post.height - 1)],
                column[1:][: bits_for(post.width - 1)],
            )
            place = times(pooled_row, post.width) + pooled_column
            m.d.sync += wraps(address, place, "it is used only if the tap is inside")
        with m.Elif(moving):
            m.d.sync += group.eq(group + 1)
            m.d.sync += wraps(self.weight_address, self.weight_address + of_group, "there is a further group")
            m.d.sync += wraps(address, address + post.positions, "there is a further group")
        m.d.comb += self.busy.eq(have | active)

        # -- a cycle later: the weights; two cycles later: the terms
        add1, sign1 = Signal(), Signal()
        m.d.sync += [add1.eq(moving), sign1.eq(sign)]
        shown = (add1, sign1) if config.spec.spike_bits > 1 else (add1,)
        for lane, weight in enumerate(self.weights):
            term, carry = registered(m, *weighed(Cat(*shown), weight))
            m.d.comb += self.terms[lane].eq(term)
            if carry is not None and lane == 0:
                m.d.comb += self.carry.eq(carry)
        return m
