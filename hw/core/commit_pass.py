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

from .interface import MASTER_BITS
from .totals import total_bits
from .weight_memory import WeightMemory

#: Cycles of a word of weights in a commit: one multiplier a lane has three products to make.
PRODUCTS = 3


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

    def __init__(self, m, memory: WeightMemory):
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

    def __init__(self, memory: WeightMemory):
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

    def __init__(self, memory: WeightMemory):
        self.valid, self.address = Signal(name="committed"), Signal(range(memory.depth), name="committed_at")
        bits = memory.config.spec.formats.master_bits
        self.data = [Signal(signed(bits), name=f"committed_{lane}") for lane in range(memory.lanes)]


class Walk:
    """All words of weights in order, `PRODUCTS` cycles each: the pre channel and post group of each, and the tile."""

    def __init__(self, m, memory: WeightMemory):
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

    def __init__(self, m, walk: Walk, memory: WeightMemory):
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
