"""Backward half of the scatter engine: the pre positions that a post spike drives, by folded kernels."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import registered
from nudge.hw.lib.bounds import wraps
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import weighed

from .folding import folding
from .forward import times
from .queue import spike_of


class BackwardScatter(wiring.Component):
    """Adds the folded kernel (`hw.synapse.scatter.folding`) of each post spike to the drives of the pre
    layer, a folded tap in each cycle.

    A spike at (y, x) drives the pre position (2 y + a - padding, 2 x + b - padding) with folded[a, b]. Folded
    taps come row by row, so two adders and the sums of the row before compute them.

    Latency: ``(k + 1)**2`` cycles for each pre group of a spike; two cycles from a spike to its first
    address.

    Members
    -------
    i : In(stream.Signature(spike_of))
        Spikes of the post layer.
    busy : Out(1)
        High while a spike is processed.
    read : Out(1), weight_address : Out, weights : In
        Read port of `hw.synapse.scatter.weights.TransposedWeights`.
    add, ready, address, terms, carry
        Additions to `hw.synapse.scatter.sums.DriveSums`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.words, self.lanes = config.words(bundle.pre), config.lanes[bundle.pre.index]
        self.side = bundle.kernel + 1
        weight = config.spec.formats.weight_bits
        self.depth = bundle.weights // self.lanes
        super().__init__(
            {
                "i": In(stream.Signature(spike_of(config, bundle.post))),
                "busy": Out(1),
                "read": Out(1),
                "weight_address": Out(range(self.depth)),
                "weights": In(data.ArrayLayout(signed(weight), self.lanes)),
                "add": Out(1),
                "ready": In(1),
                "address": Out(range(self.words)),
                # the sum of up to four weights
                "terms": Out(data.ArrayLayout(signed(weight + 2), self.lanes)),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pre, k, padding, spike = self.bundle.pre, self.bundle.kernel, self.bundle.padding, self.i.payload
        groups, channels = self.config.groups(pre), self.bundle.post.channels

        # -- the folded tap whose weight is read; `line`: address of the first word of its row and group
        have, negative, moving = Signal(), Signal(), Signal()
        a, b, group = Signal(range(self.side)), Signal(range(self.side)), Signal(range(groups))
        row, column = (
            Signal(range(-padding, 2 * size + self.side), name=f"first_{name}")
            for name, size in (("row", self.bundle.post.height), ("column", self.bundle.post.width))
        )
        line, first_line, weight = (
            Signal(range(self.words)),
            Signal(range(self.words)),
            Signal(range(self.depth)),
        )
        within, ends = Signal(), Signal()
        m.d.comb += [within.eq((a < k) & (b < k)), self.weight_address.eq(weight), self.read.eq(moving)]
        m.d.comb += ends.eq((a == self.side - 1) & (b == self.side - 1) & (group == groups - 1))
        m.d.comb += self.i.ready.eq(~have | (moving & ends))
        why = "addresses of rows outside of the layer aren't used"
        with m.If(have & moving):
            with m.If(within):
                m.d.sync += wraps(weight, weight + channels, "the word behind the last isn't used")
            with counting(m, b, self.side):
                m.d.sync += wraps(line, line + pre.width, why)
                with counting(m, a, self.side):
                    m.d.sync += wraps(line, first_line + pre.positions, why)
                    m.d.sync += wraps(first_line, first_line + pre.positions, why)
                    with counting(m, group, groups):
                        m.d.sync += have.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [have.eq(1), negative.eq(spike.negative)]
            m.d.sync += [row.eq((spike.y << 1) - padding), column.eq((spike.x << 1) - padding)]
            m.d.sync += weight.eq(spike.base + spike.lane)
            start = times(spike.y, 2 * pre.width) - padding * pre.width
            m.d.sync += [wraps(line, start, why), wraps(first_line, start, why)]

        # -- a cycle later: its weight, and the word to add to
        valid, inside, zero, sign = Signal(), Signal(), Signal(), Signal()
        at_row, at_column = row + a, column + b
        with m.If(moving):
            m.d.sync += [valid.eq(have), zero.eq(~within), sign.eq(negative)]
            m.d.sync += inside.eq(
                have & (at_row >= 0) & (at_row < pre.height) & (at_column >= 0) & (at_column < pre.width)
            )
            m.d.sync += wraps(self.address, line + at_column, why)
        m.d.comb += [self.add.eq(inside), moving.eq(~inside | self.ready), self.busy.eq(have | valid)]

        # -- two cycles later: the folded weight; three cycles later: the term
        fold, add2, sign2 = Signal(), Signal(), Signal()
        m.d.sync += [fold.eq(valid & moving), add2.eq(self.add & self.ready), sign2.eq(sign)]
        for lane, weight_ in enumerate(self.weights):
            folded = folding(m, lane, fold, weight_, zero, self.side)
            term, carry = registered(
                m, *weighed(Cat(add2, sign2) if self.config.spec.spike_bits > 1 else add2, folded)
            )
            m.d.comb += self.terms[lane].eq(term)
            if carry is not None and lane == 0:
                m.d.comb += self.carry.eq(carry)
        return m
