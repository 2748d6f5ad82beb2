"""Backward half of the scatter engine: the pre positions that a post spike drives, by folded kernels."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import registered
from nudge.hw.lib.bounds import wraps
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import weighed

from .forward import times
from .queue import spike_of


def side(bundle: Bundle) -> int:
    """Return the side of a folded kernel in cycles: k + 1, rounded up to an even number.

    Successive spikes then drive rows of different parity at the end of one and the begin of the next, so that
    additions to the same word are at least `APART` of `hw.synapse.scatter.forward` cycles apart.
    """
    return bundle.kernel + 1 + (bundle.kernel + 1) % 2


class BackwardScatter(wiring.Component):
    """Adds the folded kernel of each post spike to the drives of the pre layer, a folded tap in each cycle.

        folded[a, b] = sum over dy, dx in {0, 1} of w[a - dy, b - dx]        (w is 0 outside of the kernel)

    A spike at (y, x) drives the pre position (2 y + a - padding, 2 x + b - padding) with folded[a, b]. Folded
    taps come row by row, so two adders and the sums of the row before compute them.

    Latency: ``side * side`` cycles for each pre group of a spike; two cycles from a spike to its first address.

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
        self.side = side(bundle)
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
        row, column = (Signal(range(-padding, 2 * size + self.side), name=f"first_{name}") for name, size in
                       (("row", self.bundle.post.height), ("column", self.bundle.post.width)))
        line, first_line, weight = Signal(range(self.words)), Signal(range(self.words)), Signal(range(self.depth))
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
            m.d.sync += inside.eq(have & (at_row >= 0) & (at_row < pre.height) & (at_column >= 0) & (at_column < pre.width))
            m.d.sync += wraps(self.address, line + at_column, why)
        m.d.comb += [self.add.eq(inside), moving.eq(~inside | self.ready), self.busy.eq(have | valid)]

        # -- two cycles later: the folded weight; three cycles later: the term
        fold, add2, sign2 = Signal(), Signal(), Signal()
        m.d.sync += [fold.eq(valid & moving), add2.eq(self.add & self.ready), sign2.eq(sign)]
        for lane, weight_ in enumerate(self.weights):
            new = Signal(weight_.shape(), name=f"new_{lane}", reset_less=True)
            m.d.sync += new.eq(Mux(zero, 0, weight_))
            folded = self._folded(m, lane, fold, new)
            term, carry = registered(m, *weighed(Cat(add2, sign2) if self.config.spec.spike_bits > 1 else add2, folded))
            m.d.comb += self.terms[lane].eq(term)
            if carry is not None and lane == 0:
                m.d.comb += self.carry.eq(carry)
        return m

    def _folded(self, m, lane, fold, new):
        """Return the folded weight of a lane, which is current while ``fold`` is high. new: its weight.

        The last column and row of a kernel have no weight, so all registers are 0 after each group.
        """
        bits = len(new)
        before = Signal(signed(bits), name=f"before_{lane}")
        # sums of two neighbouring columns, of the row before
        pairs = [Signal(signed(bits + 1), name=f"pair_{lane}_{n}") for n in range(self.side)]
        pair, folded = Signal(signed(bits + 1), name=f"sum_{lane}"), Signal(signed(bits + 2), name=f"folded_{lane}")
        m.d.comb += [pair.eq(new + before), folded.eq(pair + pairs[-1])]
        with m.If(fold):
            m.d.sync += [before.eq(new), pairs[0].eq(pair)]
            m.d.sync += [pairs[n].eq(pairs[n - 1]) for n in range(1, self.side)]
        return folded
