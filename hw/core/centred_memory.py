"""Weight memories of a bundle whose commits are centred: what all samples have in common goes to biases alone."""

from typing import NamedTuple

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from golden.contract.spec import FOLLOW
from hw.lib.adder_tree import delay
from hw.lib.block_memory import BlockMemory
from hw.lib.saturate import saturated

from .interface import MASTER_BITS
from .totals import total_bits
from .weight_memory import Walked, WeightMemory

#: Cycles of a word of weights in a commit: one multiplier a lane has three products to make.
PRODUCTS = 3

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


class Part:
    """A small memory that is read and written at one address in a cycle."""

    def __init__(self, m, name, shape, depth):
        m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=[])
        self.read, self.write = memory.read_port(domain="comb"), memory.write_port()
        #: The address.
        self.at = Signal(bits_for(depth - 1), name=f"{name}_at")
        m.d.comb += [self.read.addr.eq(self.at), self.write.addr.eq(self.at)]


class Widths:
    """Of what a commit needs beside the masters."""

    def __init__(self, config: Config, bundle: Bundle):
        f = config.spec.formats
        #: c, of any mean that the host may write.
        self.c_bits = config.spec.mean_bits - FOLLOW + 1
        #: Sums of all samples' updates of a bias.
        self.B_bits = bits_for(f.max_batch * f.update_bound) + 1
        #: Sums of c w over all that a neuron reads.
        self.sum_bits = bits_for(bundle.fan_in << self.c_bits) + f.committed_bits


class Kept(Widths):
    """What a commit needs beside the masters."""

    def __init__(self, m, memory: CentredMemory):
        config, bundle = memory.config, memory.bundle
        super().__init__(config, bundle)
        lanes, groups = memory.lanes, config.groups(bundle.post)
        both = data.StructLayout({"now": unsigned(self.c_bits), "then": unsigned(self.c_bits)})
        m.submodules.c = c = BlockMemory(shape=both, depth=bundle.pre.channels)
        self.c = Ports(c.read_port(), c.write_port())
        sums = data.ArrayLayout(signed(self.sum_bits), lanes)
        #: Of biases' updates; of c w with this c, with the next one's, and with this one's by the weights before.
        self.B = Part(m, "updated", data.ArrayLayout(signed(self.B_bits), lanes), groups)
        self.now, self.then, self.before = (Part(m, name, sums, groups) for name in ("now", "then", "before"))
        #: What a total is if all was 1, of the samples since the last commit.
        self.whole = Signal(total_bits(config, bundle))


class Ports(NamedTuple):
    """Of a memory."""

    read: object
    write: object


class Means:
    """Where a commit's means stand."""

    def __init__(self, memory: CentredMemory):
        config, bundle = memory.config, memory.bundle
        bits, channels = config.spec.mean_bits, range(bundle.pre.channels)
        self.channel, self.lane = Signal(channels), Signal(range(memory.lanes), name="mean_lane")
        self.pre_lane = Signal(range(config.lanes[bundle.pre.index]), name="pre_lane")
        #: Address of the words of means at hand; these were the last ones.
        self.at, self.over = Signal(range(memory.depth + 2), name="mean_at"), Signal()
        low = min(bits, MASTER_BITS)
        self.low = [Signal(low, name=f"low_{lane}") for lane in range(memory.lanes)]
        self.high = [Signal(max(bits - low, 0), name=f"high_{lane}") for lane in range(memory.lanes)]
        #: What is left of the total, and its share of all until now.
        self.rest = Signal(total_bits(config, bundle) + 1)
        self.share = Signal(config.spec.formats.bias_fraction + 1)


class Written:
    """A word that a commit writes to the masters."""

    def __init__(self, memory: CentredMemory):
        self.valid, self.address = Signal(name="committed"), Signal(range(memory.depth), name="committed_at")
        bits = memory.config.spec.formats.master_bits
        self.data = [Signal(signed(bits), name=f"committed_{lane}") for lane in range(memory.lanes)]


class Walk:
    """All words of weights in order, `PRODUCTS` cycles each: the pre channel and post group of each, and the tile."""

    def __init__(self, m, memory: CentredMemory):
        config, bundle = memory.config, memory.bundle
        pre_lanes, rows = config.lanes[bundle.pre.index], layout.tile_rows(config, bundle)
        pre_groups, self.groups = config.groups(bundle.pre), config.groups(bundle.post)
        self.start, self.active = Signal(name="start_walk"), Signal(name="walking")
        #: Cycle of the word, which goes on after the last one.
        self.turn = Signal(range(PRODUCTS))
        self.word = Signal(range(layout.master_words(config, bundle)), name="word")
        lane, self.post_group = Signal(range(pre_lanes), name="walk_lane"), Signal(range(self.groups), name="post_group")
        pre_group, spot = Signal(range(pre_groups), name="pre_group"), Signal(name="spot", shape=range(self._spots(bundle)))
        base = Signal(range(bundle.pre.channels), name="base")
        self.channel = Signal(range(bundle.pre.channels))
        self.tile = Signal(range(layout.tiles(config, bundle)), name="tile")
        self.row = Signal(range(rows), name="row")
        m.d.comb += self.channel.eq(base + lane)
        m.d.sync += self.turn.eq(Mux(self.turn == PRODUCTS - 1, 0, self.turn + 1))
        advance = Signal(name="advance")
        m.d.comb += advance.eq(self.active & (self.turn == PRODUCTS - 1))
        # innermost first
        spots, groups = (spot, self._spots(bundle)), (self.post_group, self.groups)
        before = (pre_group, pre_groups)
        nest = [(lane, pre_lanes), *((groups, spots, before) if bundle.full else (spots, before, groups))]
        step = advance
        for counter, size in nest:
            last = Signal(name=f"last_of_{counter.name}")
            m.d.comb += last.eq(counter == size - 1)
            with m.If(step):
                m.d.sync += counter.eq(Mux(last, 0, counter + 1))
                if counter is pre_group:
                    m.d.sync += base.eq(Mux(last, 0, base + pre_lanes))
            step = step & last
        with m.If(advance):
            m.d.sync += [self.word.eq(self.word + 1), self.row.eq(self.row + 1)]
            with m.If(self.row == rows - 1):
                m.d.sync += [self.row.eq(0), self.tile.eq(self.tile + 1)]
        with m.If(step):
            m.d.sync += self.active.eq(0)
        with m.If(self.start):
            m.d.sync += [self.active.eq(1), self.turn.eq(0), self.word.eq(0), self.row.eq(0), self.tile.eq(0)]

    @staticmethod
    def _spots(bundle: Bundle) -> int:
        """Weights of a pre channel for a post neuron."""
        return bundle.pre.positions if bundle.full else bundle.kernel**2


class Weighed:
    """The words of weights that the walk has left: one whose new weights are there, and the one before, whose products come."""

    def __init__(self, m, walk: Walk, memory: CentredMemory):
        bits = memory.config.spec.formats.committed_bits
        self.new = [Signal(signed(bits), name=f"new_{lane}", reset_less=True) for lane in range(memory.lanes)]
        places = {"word": walk.word, "tile": walk.tile, "row": walk.row, "group": walk.post_group, "there": walk.active}
        stages = [places]
        # a word's address stands in turns 0 to 2; two turns after its last one its new weights are made, three later its sums
        for stage, turn in enumerate((PRODUCTS - 1, 1, 1)):
            held = {name: Signal.like(place, name=f"{name}_{stage}") for name, place in places.items()}
            with m.If(walk.turn == turn):
                m.d.sync += [held[name].eq(place) for name, place in stages[-1].items()]
            stages.append(held)
        _, read, new, last = stages
        self.word, self.tile, self.row = new["word"], new["tile"], new["row"]
        self.last, self.last_group = last["there"], last["group"]
        #: New weights are to be written, in this cycle alone; something is on its way.
        self.valid, self.coming = Signal(name="new_there"), Signal(name="coming_there")
        m.d.comb += self.valid.eq(new["there"] & (walk.turn == PRODUCTS - 1))
        m.d.comb += self.coming.eq(read["there"] | new["there"] | last["there"])
