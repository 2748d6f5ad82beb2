"""What a centred commit keeps beside the masters, and where it stands: its memories and widths, means, words of weights."""

from typing import NamedTuple

from amaranth.hdl import Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.schedule import FOLLOW
from golden.contract.shapes import Bundle
from hw.lib.block_memory import BlockMemory

from .totals import total_bits
from .weight_memory import WeightMemory

#: Cycles of a slice of a word of weights in a commit: its multipliers have three products each to make.
PRODUCTS = 3

#: Lanes that a commit takes at a time, at most, each with a multiplier: a word goes by in slices, since commits are rare.
AT_ONCE = 2


def slice_lanes(lanes: int) -> int:
    """Lanes of a slice: the largest divisor of a word's that isn't above `AT_ONCE`."""
    return max(width for width in range(1, AT_ONCE + 1) if lanes % width == 0)


class SmallMemory:
    """A memory that is read and written at one address in a cycle."""

    def __init__(self, m, name, shape, depth):
        m.submodules[name] = memory = Memory(shape=shape, depth=depth, init=[])
        self.read, self.write = memory.read_port(domain="comb"), memory.write_port()
        #: The address.
        self.at = Signal(bits_for(depth - 1), name=f"{name}_at")
        m.d.comb += [self.read.addr.eq(self.at), self.write.addr.eq(self.at)]


class Widths:
    """Of what a commit needs beside the masters."""

    def __init__(self, config: Config, bundle: Bundle):
        f, lanes = config.spec.formats, config.lanes[bundle.index]
        #: Lanes of a slice, and slices of a word.
        self.width = slice_lanes(lanes)
        self.slices = lanes // self.width
        #: c, of any mean that the host may write.
        self.c_bits = config.spec.mean_bits - FOLLOW + 1
        #: Sums of all samples' updates of a bias.
        self.B_bits = bits_for(f.max_batch * f.update_bound) + 1
        #: Sums of c w over all that a neuron reads.
        self.sum_bits = bits_for(bundle.fan_in << self.c_bits) + f.committed_bits


class Kept(Widths):
    """What a commit needs beside the masters."""

    def __init__(self, m, memory: WeightMemory):
        config, bundle = memory.config, memory.bundle
        super().__init__(config, bundle)
        groups = config.groups(bundle.post)
        both = data.StructLayout({"now": unsigned(self.c_bits), "then": unsigned(self.c_bits)})
        m.submodules.c = c = BlockMemory(shape=both, depth=bundle.pre.channels)
        self.c = Ports(c.read_port(), c.write_port())
        #: Of biases' updates, a word for each group of biases.
        self.B = SmallMemory(m, "updated", data.ArrayLayout(signed(self.B_bits), memory.lanes), groups)
        sums = data.ArrayLayout(signed(self.sum_bits), self.width)
        #: Of c w with this c, with the next one's, and with this one's by the weights before: a word for each slice.
        self.now, self.then, self.before = (
            SmallMemory(m, name, sums, groups * self.slices) for name in ("now", "then", "before")
        )
        #: What a total is if all was 1, of the samples since the last commit.
        self.whole = Signal(total_bits(config, bundle))


class Ports(NamedTuple):
    """Of a memory."""

    read: object
    write: object


class Means:
    """Where a commit's means stand."""

    def __init__(self, memory: WeightMemory):
        config, bundle = memory.config, memory.bundle
        self.channel = Signal(range(bundle.pre.channels + 1), name="mean_channel")
        self.pre_lane = Signal(range(config.lanes[bundle.pre.index]), name="pre_lane")
        #: Lane of the word, as a slice and a lane of it.
        width = slice_lanes(memory.lanes)
        self.slice, self.lane = Signal(range(memory.lanes // width), name="mean_slice"), Signal(range(width), name="mean_lane")
        #: Address of the words of means at hand.
        self.at = Signal(range(memory.depth + 2), name="mean_at")
        #: The channel's mean; what is left of the total, and its share of all until now.
        self.old = Signal(config.spec.mean_bits, name="old_mean")
        self.rest = Signal(total_bits(config, bundle) + 1)
        self.share = Signal(config.spec.formats.bias_fraction + 1)


class Written:
    """A word that a commit writes to the masters, put together of what comes, a lane or a slice at a time."""

    def __init__(self, m, memory: WeightMemory):
        self.valid, self.address = Signal(name="committed"), Signal(range(memory.depth), name="committed_at")
        bits = memory.config.spec.formats.committed_bits
        self.data = [Signal(signed(bits), name=f"committed_{lane}", reset_less=True) for lane in range(memory.lanes)]

    def take(self, m, values):
        """In this cycle: what comes is at the end of the word, all else one step nearer to its beginning."""
        m.d.sync += [lane.eq(value) for lane, value in zip(self.data, [*self.data[len(values) :], *values], strict=True)]


class Walk:
    """All slices of words of weights in order, `PRODUCTS` cycles each: the pre channel and post group of each, and the tile."""

    def __init__(self, m, memory: WeightMemory):
        config, bundle = memory.config, memory.bundle
        pre_lanes, rows = config.lanes[bundle.pre.index], layout.tile_rows(config, bundle)
        slices = Widths(config, bundle).slices
        pre_groups, groups = config.groups(bundle.pre), config.groups(bundle.post)
        self.start, self.active = Signal(name="start_walk"), Signal(name="walking")
        #: Cycle of the slice, which goes on after the last one.
        self.turn = Signal(range(PRODUCTS))
        self.word = Signal(range(layout.master_words(config, bundle)), name="word")
        self.slice, self.post_group = Signal(range(slices), name="walk_slice"), Signal(range(groups), name="post_group")
        lane = Signal(range(pre_lanes), name="walk_lane")
        pre_group, spot = Signal(range(pre_groups), name="pre_group"), Signal(name="spot", shape=range(self._spots(bundle)))
        #: The slice among those of all groups.
        self.of_all = Signal(range(groups * slices), name="slice_of_all")
        #: First channel of the pre group, first slice of the post group.
        base, slice_base = Signal(range(bundle.pre.channels), name="base"), Signal(range(groups * slices), name="slice_base")
        self.channel = Signal(range(bundle.pre.channels))
        self.tile = Signal(range(layout.tiles(config, bundle)), name="tile")
        self.row = Signal(range(rows), name="row")
        m.d.comb += [self.channel.eq(base + lane), self.of_all.eq(slice_base + self.slice)]
        m.d.sync += self.turn.eq(Mux(self.turn == PRODUCTS - 1, 0, self.turn + 1))
        # innermost first
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
    """The slices of weights that the walk has left: one that was read, one whose new weights are there, and the one before,
    whose products come."""

    def __init__(self, m, walk: Walk, memory: WeightMemory):
        bits, widths = memory.config.spec.formats.committed_bits, Widths(memory.config, memory.bundle)
        self.new = [Signal(signed(bits), name=f"new_{lane}", reset_less=True) for lane in range(widths.width)]
        places = {"word": walk.word, "tile": walk.tile, "row": walk.row, "slice": walk.slice, "of_all": walk.of_all}
        places["there"] = walk.active
        stages = [places]
        # a slice's address stands in turns 0 to 2; two turns after its last one its new weights are made, three later its sums
        for stage, turn in enumerate((PRODUCTS - 1, 1, 1)):
            held = {name: Signal.like(place, name=f"{name}_{stage}") for name, place in places.items()}
            with m.If(walk.turn == turn):
                m.d.sync += [held[name].eq(place) for name, place in stages[-1].items()]
            stages.append(held)
        _, read, new, last = stages
        #: Which slice of a word the masters are read for.
        self.read_slice = read["slice"]
        self.word, self.tile, self.row = new["word"], new["tile"], new["row"]
        self.last, self.last_of_all = last["there"], last["of_all"]
        #: New weights are there, in this cycle alone; their word is, in the next one; something is on its way.
        self.made, self.valid, self.coming = Signal(name="new_there"), Signal(name="word_there"), Signal(name="coming_there")
        m.d.comb += self.made.eq(new["there"] & (walk.turn == PRODUCTS - 1))
        m.d.comb += self.valid.eq(new["there"] & (walk.turn == 0) & (new["slice"] == widths.slices - 1))
        m.d.comb += self.coming.eq(read["there"] | new["there"] | last["there"])
