"""Weight memories of a bundle whose commits are centred: what all samples have in common goes to biases alone."""


from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.schedule import FOLLOW
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import delay
from hw.lib.saturate import saturated

from .commit_pass import PRODUCTS, Kept, Means, Walk, Weighed, Widths, Written
from .interface import MASTER_BITS
from .totals import total_bits
from .weight_memory import Walked, WeightMemory

#: Cycles from a word's address to its lanes.
READ = 2


def commit_cycles(config: Config, bundle: Bundle) -> int:
    """Cycles of a commit: means, slices of words of weights, and of biases."""
    slices, f = Widths(config, bundle).slices, config.spec.formats
    words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
    means = layout.mean_words(config, bundle) // 2 * (config.lanes[bundle.index] * (f.bias_fraction + 2 * READ + 5) + 2)
    return means + groups * slices + PRODUCTS * words * slices + 9 + groups * (slices * (READ + 1) + 1) + 1


class CentredMemory(WeightMemory):
    """`WeightMemory` with another commit, and with running means behind the biases (`golden.contract.layout`).

    Updates of biases are kept apart from them until the commit, B. That first takes each running mean towards the batch's, a
    quotient of ``totals``: with c the one that the batch is centred by, the next one has another. Then each weight loses
    rhu(c B), and meanwhile c w is summed over all that a neuron reads, with both c. The sum with this one, less what it was
    after the commit before, is what the weights have moved, and B loses it; the sum with the next one is what the next commit
    subtracts. A commit of no sample, such as the one after the host wrote weights, only makes that sum.

    A commit takes a slice of a word at a time (`slice_lanes`): it comes once for a batch, and its adders are wide.

    Latency: updates and reads as `WeightMemory`; a commit takes `commit_cycles`, of which each slice of weights has `PRODUCTS`.
    Model: `golden.model.centring.commit` and `golden.model.ops.working`.

    Members
    -------
    those of `WeightMemory`, and
    counted : In(1)
        One cycle for each trained sample, while there is no commit.
    group : Out, totals : In, clear : Out(1)
        Of the bundle's `hw.core.totals.Totals`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if not config.spec.schedule.centred:
            raise ValueError(f"CentredMemory takes a network with centred commits, which {config.spec.name} hasn't")
        super().__init__(config, bundle)

    def _members(self):
        config, pre = self.config, self.bundle.pre
        totals = data.ArrayLayout(unsigned(total_bits(config, self.bundle)), config.lanes[pre.index])
        own = {"counted": In(1), "group": Out(bits_for(config.groups(pre) - 1)), "totals": In(totals), "clear": Out(1)}
        return super()._members() | own

    def elaborate(self, platform):
        m = Module()
        master_read, master_write, working_write = self._memories(m)
        at, busy = Signal(range(self.depth)), Signal()
        values = self._read(m, at, busy, master_read)
        kept = Kept(m, self)
        learned = self._count(m, kept)
        written, walked, clipped = self._commit(m, at, busy, values, kept, learned)
        self._write_masters(m, values, kept, master_write, written)
        self._write_working(m, walked, clipped, working_write, layout.tile_rows(self.config, self.bundle))
        m.d.comb += self.busy.eq(busy | delay(m, busy, 1))
        return m

    def _count(self, m, kept):
        """What totals of all 1 would be; whether there was a sample."""
        with m.If(self.counted):
            m.d.sync += kept.whole.eq(kept.whole + self.config.spec.read_bound(self.bundle))
        return kept.whole != 0

    def _write_masters(self, m, values, kept, write, written):
        """Masters: a commit's, those with an update, or the host's; biases' updates go to B."""
        payload, words = self.updates.payload, layout.weight_words(self.config, self.bundle)
        updated = delay(m, self.updates.valid, READ)
        coming = Signal(payload.shape(), name="coming", reset_less=True)
        update = Signal(payload.shape(), name="update", reset_less=True)
        m.d.sync += [coming.eq(payload), update.eq(coming)]
        bias = update.address >= words
        with m.If(updated & bias):
            m.d.comb += [kept.B.at.eq(update.address - words), kept.B.write.en.eq(1)]
            for lane in range(self.lanes):
                m.d.comb += kept.B.write.data[lane].eq(kept.B.read.data[lane] + update.update[lane])
        m.d.comb += [
            write.addr.eq(Mux(written.valid, written.address, Mux(updated, update.address, self.address))),
            write.en.eq(written.valid | (updated & ~bias) | self.write),
        ]
        for lane in range(self.lanes):
            learned = Mux(updated, values[lane] + update.update[lane], self.write_data[lane])
            m.d.comb += write.data[lane].eq(Mux(written.valid, written.data[lane], learned))

    def _commit(self, m, at, busy, values, kept, learned):
        """The state machine; returns what it writes to the masters, and to the working copies."""
        config, bundle = self.config, self.bundle
        words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
        written = Written(m, self)
        walk = Walk(m, self)
        means = Means(self)
        group, of_all = Signal(range(groups), name="bias_group"), Signal(range(groups * kept.slices), name="bias_slice_of_all")
        place, part = Signal(range(kept.slices), name="bias_slice"), Signal(range(kept.slices), name="slice")
        age = Signal(range(16))
        m.d.sync += age.eq(age + 1)

        def go(state):
            m.d.sync += age.eq(0)
            m.next = state

        mine = slice_of(values, part, kept.width)
        weighed = self._weigh(m, walk, mine, kept, learned)
        bias_ready = Signal()
        with m.FSM() as fsm:
            m.d.comb += busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                counters = (means.channel, means.slice, means.lane, means.pre_lane, self.group, group, of_all)
                m.d.sync += [counter.eq(0) for counter in counters]
                m.d.sync += means.at.eq(layout.master_words(config, bundle))
                with m.If(self.commit):
                    go("LOW")
            self._follow_means(m, at, part, mine, kept, means, written, learned, go, age)
            with m.State("CLEAR"):
                # a commit that a reset ended left something there
                for sums in (kept.now, kept.then):
                    m.d.comb += [sums.at.eq(of_all), sums.write.en.eq(1)]
                m.d.sync += of_all.eq(of_all + 1)
                with m.If(of_all == groups * kept.slices - 1):
                    m.d.sync += of_all.eq(0)
                    m.d.comb += walk.start.eq(1)
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += [at.eq(walk.word), part.eq(weighed.read_slice)]
                with m.If(weighed.made):
                    written.take(m, weighed.new)
                m.d.comb += [written.valid.eq(weighed.valid), written.address.eq(weighed.word)]
                with m.If(~(walk.active | weighed.coming)):
                    go("BIASES")
            with m.State("BIASES"):
                m.d.comb += [at.eq(words + group), part.eq(place), kept.B.at.eq(group)]
                m.d.comb += [sums.at.eq(of_all) for sums in (kept.now, kept.then, kept.before)]
                new = self._corrected(m, mine, kept, place, learned)
                with m.If(age == READ):
                    written.take(m, new)
                    m.d.comb += [kept.before.write.en.eq(1), kept.before.write.data.eq(kept.then.read.data)]
                    m.d.sync += [place.eq(place + 1), of_all.eq(of_all + 1)]
                    go("BIASES")
                    with m.If(place == kept.slices - 1):
                        m.d.sync += place.eq(0)
                        m.next = "STORE-BIASES"
            with m.State("STORE-BIASES"):
                m.d.comb += [bias_ready.eq(1), written.valid.eq(1), written.address.eq(words + group)]
                m.d.comb += [kept.B.at.eq(group), kept.B.write.en.eq(1)]
                m.d.sync += group.eq(group + 1)
                go("BIASES")
                with m.If(group == groups - 1):
                    m.d.sync += kept.whole.eq(0)
                    m.next = "IDLE"
        walked = Walked(weighed.valid | bias_ready, bias_ready, written.address, weighed.row, weighed.tile)
        return written, walked, written.data

    def _corrected(self, m, masters, kept, place, learned):
        """Biases of a slice with their updates, less what their weights have moved: two cycles after the sums are there."""
        f, new = self.config.spec.formats, []
        updates = slice_of(kept.B.read.data, place, kept.width)
        for lane in range(kept.width):
            difference = Signal(signed(kept.sum_bits + 1), name=f"difference_{lane}", reset_less=True)
            corrected = Signal(signed(f.master_bits + 2), name=f"corrected_{lane}", reset_less=True)
            m.d.sync += difference.eq(kept.now.read.data[lane] - kept.before.read.data[lane])
            moved = (difference + (1 << (f.bias_fraction - 1))) >> f.bias_fraction
            m.d.sync += corrected.eq(Mux(learned, updates[lane] - moved, 0))
            new.append(saturated(masters[lane] + corrected, f.committed_bits))
        return new

    def _follow_means(self, m, at, part, masters, kept, means, written, learned, go, age):
        """States in which each channel's mean follows the batch's, a lane of two words after the other: a division, bit by bit,
        and at last both words again. Lanes that no channel has stay as they are."""
        f, spec, pre = self.config.spec.formats, self.config.spec, self.bundle.pre
        pre_lanes, low = self.config.lanes[pre.index], min(MASTER_BITS, spec.mean_bits)
        there = Signal(name="channel_there")
        m.d.comb += there.eq(means.channel != pre.channels)
        high = [Signal(spec.mean_bits - low, name=f"high_{lane}", reset_less=True) for lane in range(self.lanes)]
        master = Array(masters[lane] for lane in range(kept.width))[means.lane]
        for state, target, then in (("LOW", means.old[:low], "HIGH"), ("HIGH", means.old[low:], "BEGIN")):
            with m.State(state):
                m.d.comb += [at.eq(means.at + (state == "HIGH")), part.eq(means.slice)]
                with m.If(age == READ):
                    m.d.sync += target.eq(master)
                    go(then)
        with m.State("BEGIN"):
            totals = Array(self.totals[lane] for lane in range(pre_lanes))
            m.d.sync += [means.rest.eq(totals[means.pre_lane]), means.share.eq(0)]
            go("DIVIDE")
        with m.State("DIVIDE"):
            # the share's bits, from that of 1 down; what is left is doubled
            fits = means.rest >= kept.whole
            left = Mux(fits, means.rest - kept.whole, means.rest)
            m.d.sync += [means.rest.eq(left << 1), means.share.eq(Cat(fits, means.share))]
            with m.If(age == f.bias_fraction):
                go("FOLLOW")
        with m.State("FOLLOW"):
            # half up, by one bit more
            share = Signal(f.bias_fraction + 2)
            m.d.comb += share.eq(means.share + (means.rest >= kept.whole))
            followed = Signal(spec.mean_bits, name="followed")
            m.d.comb += followed.eq(Mux(learned & there, means.old - (means.old >> FOLLOW) + share, means.old))
            m.d.comb += [kept.c.write.addr.eq(means.channel), kept.c.write.en.eq(there)]
            m.d.comb += [kept.c.write.data.now.eq(rounded(means.old)), kept.c.write.data.then.eq(rounded(followed))]
            written.take(m, [followed[:low]])
            m.d.sync += [now.eq(after) for now, after in zip(high, [*high[1:], followed[low:]], strict=True)]
            with m.If(there):
                m.d.sync += [means.channel.eq(means.channel + 1), means.pre_lane.eq(means.pre_lane + 1)]
                with m.If(means.pre_lane == pre_lanes - 1):
                    m.d.comb += self.clear.eq(1)
                    m.d.sync += [means.pre_lane.eq(0), self.group.eq(self.group + 1)]
            m.d.sync += means.lane.eq(means.lane + 1)
            go("LOW")
            with m.If(means.lane == kept.width - 1):
                m.d.sync += [means.lane.eq(0), means.slice.eq(means.slice + 1)]
                with m.If(means.slice == kept.slices - 1):
                    m.d.sync += means.slice.eq(0)
                    m.next = "STORE-LOW"
        with m.State("STORE-LOW"):
            m.d.comb += [written.valid.eq(1), written.address.eq(means.at)]
            m.d.sync += [lane.eq(value) for lane, value in zip(written.data, high, strict=True)]
            m.next = "STORE-HIGH"
        with m.State("STORE-HIGH"):
            m.d.comb += [written.valid.eq(1), written.address.eq(means.at + 1)]
            m.d.sync += means.at.eq(means.at + 2)
            go("LOW")
            with m.If(~there):
                m.next = "CLEAR"

    def _weigh(self, m, walk, masters, kept, learned):
        """Weights as they pass: a product of c and B, then, of the new weight, one with c and one with the next c."""
        f, lanes = self.config.spec.formats, range(kept.width)
        # the slice's c, B and masters are there two cycles after its address, which stands for three
        c = Signal(kept.c.read.data.shape(), name="c", reset_less=True)
        m.d.comb += kept.c.read.addr.eq(walk.channel)
        m.d.sync += c.eq(kept.c.read.data)
        b = [Signal(signed(kept.B_bits), name=f"b_{lane}", reset_less=True) for lane in lanes]
        b_group, b_slice = delay(m, walk.post_group, 1), delay(m, walk.slice, 1)
        with m.If(walk.active):
            m.d.comb += kept.B.at.eq(b_group)
        updates = slice_of(kept.B.read.data, b_slice, kept.width)
        m.d.sync += [b[lane].eq(Mux(learned, updates[lane], 0)) for lane in lanes]

        # one multiplier: by `walk.turn`, 2: c B is begun, 0: c w, 1: next c w
        factor = Signal(kept.c_bits, name="factor", reset_less=True)
        others = [Signal(signed(max(kept.B_bits, f.committed_bits)), name=f"other_{lane}", reset_less=True) for lane in lanes]
        products = [Signal(signed(kept.c_bits + len(other)), name=f"product_{lane}") for lane, other in enumerate(others)]
        weighed = Weighed(m, walk, self)
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

        # in turn 1 the product is c B
        with m.If(walk.turn == 1):
            m.d.sync += held.eq(Cat(c.now, c.then))
            for lane in lanes:
                common = (products[lane] + (1 << (f.bias_fraction - 1))) >> f.bias_fraction
                without = Signal(signed(f.master_bits + 2), name=f"without_{lane}")
                m.d.comb += without.eq(masters[lane] - common)
                m.d.sync += weighed.new[lane].eq(saturated(without, f.committed_bits))
        # and in those after it c w and next c w, of the slice before
        for sums, turn in ((kept.now, 2), (kept.then, 0)):
            with m.If(weighed.last & (walk.turn == turn)):
                m.d.comb += [sums.at.eq(weighed.last_of_all), sums.write.en.eq(1)]
                m.d.comb += [sums.write.data[lane].eq(sums.read.data[lane] + products[lane]) for lane in lanes]
        return weighed


def slice_of(word, number, width):
    """So many lanes of a word."""
    if word.shape().length == width:
        return word
    lanes = data.ArrayLayout(word.shape().elem_shape, width)
    return data.View(lanes, word.as_value().word_select(number, lanes.size))


def memory_of(config: Config, bundle: Bundle) -> WeightMemory:
    """The memories of a bundle, whatever the network's commits."""
    return (CentredMemory if config.spec.schedule.centred else WeightMemory)(config, bundle)


def rounded(mean):
    """c of a running mean."""
    return (mean + (1 << (FOLLOW - 1))) >> FOLLOW
