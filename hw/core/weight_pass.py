"""The second pass of a centred commit: weights w' = clip(w - rhu(c B)), and sums of c w' and c' w'."""

from amaranth.hdl import Cat, Mux, Signal, signed

from nudge.golden.contract import layout
from nudge.golden.contract.formats import rounded_bound
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import delay
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.rounding import half_up
from nudge.hw.lib.saturate import saturated
from nudge.hw.lib.turns import slice_of

from .commit_memories import Kept

#: Cycles of a slice of weights: each lane has one multiplier for the three products c B, c w' and c' w'.
PRODUCTS = 3


class Walk:
    """Loop counters over all slices of all weight words in order, `PRODUCTS` cycles each: word, pre channel
    and post group of the current slice."""

    def __init__(self, m, kept: Kept):
        config, bundle, slices = kept.config, kept.bundle, kept.slices
        pre_lanes = config.lanes[bundle.pre.index]
        pre_groups, groups = config.groups(bundle.pre), config.groups(bundle.post)
        self.start, self.active = Signal(name="start_walk"), Signal(name="walking")
        #: Cycle of the slice, 0 to 2; it keeps counting after the last slice.
        self.turn = Signal(range(PRODUCTS))
        self.word = Signal(range(layout.master_words(config, bundle)), name="word")
        self.slice, self.post_group = (
            Signal(range(slices), name="walk_slice"),
            Signal(range(groups), name="post_group"),
        )
        lane = Signal(range(pre_lanes), name="walk_lane")
        pre_group, spot = (
            Signal(range(pre_groups), name="pre_group"),
            Signal(name="spot", shape=range(self._spots(bundle))),
        )
        #: Number of the slice among the slices of all post groups.
        self.of_all = Signal(range(groups * slices), name="slice_of_all")
        # First channel of the pre group; first slice of the post group.
        base, slice_base = (
            Signal(range(bundle.pre.channels), name="base"),
            Signal(range(groups * slices), name="slice_base"),
        )
        self.channel = Signal(range(bundle.pre.channels))
        m.d.comb += [self.channel.eq(base + lane), self.of_all.eq(slice_base + self.slice)]
        m.d.sync += self.turn.eq(Mux(self.turn == PRODUCTS - 1, 0, self.turn + 1))
        # Innermost loop first.
        spots, by_group = (spot, self._spots(bundle), None, 0), (self.post_group, groups, slice_base, slices)
        before = (pre_group, pre_groups, base, pre_lanes)
        order = (by_group, spots, before) if bundle.full else (spots, before, by_group)
        step = self.active & (self.turn == PRODUCTS - 1)
        for counter, size, first, each in ((self.slice, slices, None, 0), (lane, pre_lanes, None, 0), *order):
            last = Signal(name=f"last_of_{counter.name}")
            m.d.comb += last.eq(counter == size - 1)
            with m.If(step):
                m.d.sync += counter.eq(Mux(last, 0, counter + 1))
                if first is not None:
                    m.d.sync += first.eq(Mux(last, 0, first + each))
            step = step & last
            if counter is self.slice:
                with m.If(step):
                    m.d.sync += self.word.eq(self.word + 1)
        with m.If(step):
            m.d.sync += self.active.eq(0)
        with m.If(self.start):
            m.d.sync += [self.active.eq(1), self.turn.eq(0), self.word.eq(0)]

    @staticmethod
    def _spots(bundle: Bundle) -> int:
        """Weights between a pre channel and a post neuron: pre positions, or kernel taps."""
        return bundle.pre.positions if bundle.full else bundle.kernel**2


class Weighed:
    """Pipeline stages behind the walk: the slice that is read, the slice with new weights, and the slice
    before it, for which the products with c and c' arrive."""

    def __init__(self, m, walk: Walk, kept: Kept):
        self.new = data_registers("new", signed(kept.config.spec.formats.committed_bits), kept.width)
        places = {"word": walk.word, "slice": walk.slice, "of_all": walk.of_all}
        places["there"] = walk.active
        stages = [places]
        # The walk holds a slice's address in turns 0 to 2. Two cycles later, in turn 1, its new weights are
        # computed; three cycles after that it enters the last stage, in which its products are added (turns 2
        # and 0).
        for stage, turn in enumerate((PRODUCTS - 1, 1, 1)):
            held = {name: Signal.like(place, name=f"{name}_{stage}") for name, place in places.items()}
            with m.If(walk.turn == turn):
                m.d.sync += [held[name].eq(place) for name, place in stages[-1].items()]
            stages.append(held)
        _, read, new, last = stages
        #: Slice of the word to which the masters read now belong.
        self.read_slice = read["slice"]
        self.word = new["word"]
        self.last, self.last_of_all = last["there"], last["of_all"]
        #: `made`: the new weights of a slice are valid, for one cycle. `valid`: a word is complete, one cycle
        #: after its last slice. `coming`: at least one stage holds a slice.
        self.made, self.valid, self.coming = (
            Signal(name="new_there"),
            Signal(name="word_there"),
            Signal(name="coming_there"),
        )
        m.d.comb += self.made.eq(new["there"] & (walk.turn == PRODUCTS - 1))
        m.d.comb += self.valid.eq(new["there"] & (walk.turn == 0) & (new["slice"] == kept.slices - 1))
        m.d.comb += self.coming.eq(read["there"] | new["there"] | last["there"])


def weigh(m, walk: Walk, masters, kept: Kept) -> Weighed:
    """Build the arithmetic of the pass, one slice of masters at a time, with f = `Formats.bias_fraction`:

        w' = clip(w - rhu(c B, f));    now += c w';    then += c' w'

    c: the pre channel's mean that this commit is centred by; c': that of the next commit.
    """
    spec, f, lanes = kept.config.spec, kept.config.spec.formats, range(kept.width)
    # The slice's c, B and masters arrive two cycles after its address, which is held for three.
    c = Signal(kept.c_read.data.shape(), name="c", reset_less=True)
    m.d.comb += kept.c_read.addr.eq(walk.channel)
    m.d.sync += c.eq(kept.c_read.data)
    b = data_registers("b", signed(kept.B_bits), kept.width)
    b_group, b_slice = delay(m, walk.post_group, 1), delay(m, walk.slice, 1)
    with m.If(walk.active):
        m.d.comb += kept.B.at.eq(b_group)
    updates = slice_of(kept.B.read.data, b_slice, kept.width)
    m.d.sync += [b[lane].eq(Mux(kept.learned, updates[lane], 0)) for lane in lanes]

    # One multiplier for each lane. Factors loaded in turn 2: c and B; in turn 0: c and w'; in turn 1: c' and
    # w'.
    factor = Signal(kept.c_bits, name="factor", reset_less=True)
    others = data_registers("other", signed(max(kept.B_bits, f.committed_bits)), kept.width)
    products = [
        Signal(signed(kept.c_bits + len(other)), name=f"product_{lane}") for lane, other in enumerate(others)
    ]
    weighed = Weighed(m, walk, kept)
    held = Signal(kept.c_bits * 2, name="held_c", reset_less=True)
    with m.Switch(walk.turn):
        with m.Case(2):
            m.d.sync += factor.eq(c.now)
            m.d.sync += [other.eq(b[lane]) for lane, other in enumerate(others)]
        with m.Case(0):
            m.d.sync += factor.eq(held[: kept.c_bits])
            m.d.sync += [other.eq(weighed.new[lane]) for lane, other in enumerate(others)]
        with m.Case(1):
            m.d.sync += factor.eq(held[kept.c_bits :])
            m.d.sync += [other.eq(weighed.new[lane]) for lane, other in enumerate(others)]
    m.d.sync += [product.eq(factor * other) for product, other in zip(products, others, strict=True)]

    # In turn 1 the product is c B.
    with m.If(walk.turn == 1):
        m.d.sync += held.eq(Cat(c.now, c.then))
        for lane in lanes:
            common = half_up(products[lane], f.bias_fraction)
            without = Signal(signed(f.master_bits + 2), name=f"without_{lane}")
            largest = (1 << (f.master_bits - 1)) + rounded_bound(
                spec.mean_bound * f.batch_bound, f.bias_fraction
            )
            m.d.comb += bounded(
                without, masters[lane] - common, -largest, largest, "`Spec.mean_bound`, `Formats.batch_bound`"
            )
            m.d.sync += weighed.new[lane].eq(saturated(without, f.committed_bits))
    # In turn 2 it is c w', in turn 0 c' w', both of the slice before.
    for sums, turn in ((kept.now, 2), (kept.then, 0)):
        with m.If(weighed.last & (walk.turn == turn)):
            m.d.comb += [sums.at.eq(weighed.last_of_all), sums.write.en.eq(1)]
            most = spec.centred_bound(kept.bundle)
            for lane in lanes:
                sum_ = sums.read.data[lane] + products[lane]
                m.d.comb += bounded(
                    sums.write.data[lane], sum_, -most, most, "`Spec.centred_bound`: cleared by each commit"
                )
    return weighed
