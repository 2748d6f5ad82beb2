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

from .commit_pass import PRODUCTS, Kept, Means, Walk, Weighed, Written
from .interface import MASTER_BITS
from .totals import total_bits
from .weight_memory import Walked, WeightMemory

#: Cycles from a word's address to its lanes.
READ = 2


def commit_cycles(config: Config, bundle: Bundle) -> int:
    """Cycles of a commit: means, words of weights, and of biases."""
    words, groups = layout.weight_words(config, bundle), config.groups(bundle.post)
    means = bundle.pre.channels * (config.spec.formats.bias_fraction + 3) + layout.mean_words(config, bundle) * (READ + 2)
    return means + groups + PRODUCTS * words + 9 + groups * (READ + 2) + 1


class CentredMemory(WeightMemory):
    """`WeightMemory` with another commit, and with running means behind the biases (`golden.contract.layout`).

    Updates of biases are kept apart from them until the commit, B. That first takes each running mean towards the batch's, a
    quotient of ``totals``: with c the one that the batch is centred by, the next one has another. Then each weight loses
    rhu(c B), and meanwhile c w is summed over all that a neuron reads, with both c. The sum with this one, less what it was
    after the commit before, is what the weights have moved, and B loses it; the sum with the next one is what the next commit
    subtracts. A commit of no sample, such as the one after the host wrote weights, only makes that sum.

    Latency: updates and reads as `WeightMemory`; a commit takes `commit_cycles`, of which each word of weights has `PRODUCTS`.
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
        f, words = self.config.spec.formats, layout.weight_words(self.config, self.bundle)
        written = Written(self)
        walk = Walk(m, self)
        means = Means(self)
        group = Signal(range(walk.groups), name="bias_group")
        age = Signal(range(16))
        m.d.sync += age.eq(age + 1)

        def go(state):
            m.d.sync += age.eq(0)
            m.next = state

        weighed = self._weigh(m, walk, values, kept, learned)
        with m.FSM() as fsm:
            m.d.comb += busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [means.channel.eq(0), means.lane.eq(0), means.pre_lane.eq(0), self.group.eq(0), group.eq(0)]
                m.d.sync += means.at.eq(layout.master_words(self.config, self.bundle))
                with m.If(self.commit):
                    go("LOW")
            self._follow_means(m, at, values, kept, means, written, learned, go, age)
            with m.State("CLEAR"):
                # a commit that a reset ended left something there
                m.d.comb += [kept.now.at.eq(group), kept.now.write.en.eq(1), kept.then.at.eq(group), kept.then.write.en.eq(1)]
                m.d.sync += group.eq(group + 1)
                with m.If(group == walk.groups - 1):
                    m.d.sync += group.eq(0)
                    m.d.comb += walk.start.eq(1)
                    m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += at.eq(walk.word)
                with m.If(weighed.valid):
                    m.d.comb += [written.valid.eq(1), written.address.eq(weighed.word)]
                    m.d.comb += [written.data[lane].eq(weighed.new[lane]) for lane in range(self.lanes)]
                with m.If(~(walk.active | weighed.coming)):
                    go("BIASES")
            corrected = [Signal(signed(f.master_bits + 2), name=f"corrected_{lane}") for lane in range(self.lanes)]
            bias_ready = Signal()
            with m.State("BIASES"):
                m.d.comb += at.eq(words + group)
                m.d.comb += [part.at.eq(group) for part in (kept.B, kept.now, kept.then, kept.before)]
                difference = [Signal(signed(kept.sum_bits + 1), name=f"difference_{lane}") for lane in range(self.lanes)]
                for lane in range(self.lanes):
                    m.d.sync += difference[lane].eq(kept.now.read.data[lane] - kept.before.read.data[lane])
                    moved = (difference[lane] + (1 << (f.bias_fraction - 1))) >> f.bias_fraction
                    m.d.sync += corrected[lane].eq(Mux(learned, kept.B.read.data[lane] - moved, 0))
                with m.If(age == READ + 1):
                    m.d.comb += [bias_ready.eq(1), written.valid.eq(1), written.address.eq(at)]
                    for lane in range(self.lanes):
                        m.d.comb += written.data[lane].eq(saturated(values[lane] + corrected[lane], f.committed_bits))
                        m.d.comb += kept.before.write.data[lane].eq(kept.then.read.data[lane])
                    m.d.comb += [kept.before.write.en.eq(1), kept.B.write.en.eq(1)]
                    m.d.sync += group.eq(group + 1)
                    go("BIASES")
                    with m.If(group == walk.groups - 1):
                        m.d.sync += [group.eq(0), kept.whole.eq(0)]
                        m.next = "IDLE"
        valid = weighed.valid | bias_ready
        walked = Walked(valid, bias_ready, written.address, weighed.row, weighed.tile)
        return written, walked, [written.data[lane][: f.committed_bits].as_signed() for lane in range(self.lanes)]

    def _follow_means(self, m, at, values, kept, means, written, learned, go, age):
        """States in which each channel's mean follows the batch's: two words of as many channels as there are lanes, each of
        them a division, and both words again."""
        f, spec, pre = self.config.spec.formats, self.config.spec, self.bundle.pre
        pre_lanes, last = self.config.lanes[pre.index], pre.channels - 1
        for state, target, then in (("LOW", means.low, "HIGH"), ("HIGH", means.high, "BEGIN")):
            with m.State(state):
                m.d.comb += at.eq(means.at + (state == "HIGH"))
                with m.If(age == READ):
                    m.d.sync += [target[lane].eq(values[lane][: len(target[lane])]) for lane in range(self.lanes)]
                    go(then)
        old = Signal(spec.mean_bits, name="old_mean")
        m.d.comb += old.eq(Cat(Array(means.low)[means.lane], Array(means.high)[means.lane]))
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
            m.d.comb += followed.eq(Mux(learned, old - (old >> FOLLOW) + share, old))
            m.d.comb += [kept.c.write.addr.eq(means.channel), kept.c.write.en.eq(1)]
            m.d.comb += [kept.c.write.data.now.eq(rounded(old)), kept.c.write.data.then.eq(rounded(followed))]
            for lane in range(self.lanes):
                with m.If(means.lane == lane):
                    m.d.sync += [means.low[lane].eq(followed), means.high[lane].eq(followed >> MASTER_BITS)]
            m.d.sync += [means.channel.eq(means.channel + 1), means.pre_lane.eq(means.pre_lane + 1)]
            with m.If(means.pre_lane == pre_lanes - 1):
                m.d.comb += self.clear.eq(1)
                m.d.sync += [means.pre_lane.eq(0), self.group.eq(self.group + 1)]
            m.d.sync += means.lane.eq(means.lane + 1)
            m.next = "BEGIN"
            with m.If((means.lane == self.lanes - 1) | (means.channel == last)):
                m.d.sync += [means.lane.eq(0), means.over.eq(means.channel == last)]
                m.next = "STORE-LOW"
        for state, source in (("LOW", means.low), ("HIGH", means.high)):
            with m.State(f"STORE-{state}"):
                m.d.comb += [written.valid.eq(1), written.address.eq(means.at + (state == "HIGH"))]
                m.d.comb += [written.data[lane].eq(source[lane]) for lane in range(self.lanes)]
                if state == "LOW":
                    m.next = "STORE-HIGH"
                else:
                    m.d.sync += means.at.eq(means.at + 2)
                    go("LOW")
                    with m.If(means.over):
                        m.next = "CLEAR"

    def _weigh(self, m, walk, values, kept, learned):
        """Weights as they pass: a product of c and B, then, of the new weight, one with c and one with the next c."""
        f, lanes = self.config.spec.formats, range(self.lanes)
        # the word's c, B and master are there two cycles after its address, which stands for three
        c = Signal(kept.c.read.data.shape(), name="c", reset_less=True)
        m.d.comb += kept.c.read.addr.eq(walk.channel)
        m.d.sync += c.eq(kept.c.read.data)
        b = [Signal(signed(kept.B_bits), name=f"b_{lane}", reset_less=True) for lane in lanes]
        b_group = delay(m, walk.post_group, 1)
        with m.If(walk.active):
            m.d.comb += kept.B.at.eq(b_group)
        m.d.sync += [b[lane].eq(Mux(learned, kept.B.read.data[lane], 0)) for lane in lanes]

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
                m.d.comb += without.eq(values[lane] - common)
                m.d.sync += weighed.new[lane].eq(saturated(without, f.committed_bits))
        # and in those after it c w and next c w, of the word before
        for part, turn in ((kept.now, 2), (kept.then, 0)):
            with m.If(weighed.last & (walk.turn == turn)):
                m.d.comb += [part.at.eq(weighed.last_group), part.write.en.eq(1)]
                m.d.comb += [part.write.data[lane].eq(part.read.data[lane] + products[lane]) for lane in lanes]
        return weighed


def memory_of(config: Config, bundle: Bundle) -> WeightMemory:
    """The memories of a bundle, whatever the network's commits."""
    return (CentredMemory if config.spec.schedule.centred else WeightMemory)(config, bundle)


def rounded(mean):
    """c of a running mean."""
    return (mean + (1 << (FOLLOW - 1))) >> FOLLOW
