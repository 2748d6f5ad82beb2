"""What a centred commit keeps beside the masters: widths and memories; the masters as it reads them, and what it writes."""

from amaranth.hdl import Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.shapes import Bundle
from hw.lib.block_memory import BlockMemory
from hw.lib.data_registers import data_registers

from .totals import total_bits
from .weight_memory import WeightMemory

#: Cycles from a word's address to its lanes.
READ = 2

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
    """Widths of the quantities of a centred commit."""

    def __init__(self, config: Config, bundle: Bundle):
        f, lanes = config.spec.formats, config.lanes[bundle.index]
        #: Lanes of a slice, and slices of a word.
        self.width = slice_lanes(lanes)
        self.slices = lanes // self.width
        #: Width of c, for any mean that the host may write.
        self.c_bits = bits_for(config.spec.mean_bound)
        #: Width of the sum of all samples' updates of a bias.
        self.B_bits = signed_bits(-f.batch_bound, f.batch_bound)
        #: Width of the sum of c w over all inputs of a neuron.
        bound = config.spec.centred_bound(bundle)
        self.sum_bits = signed_bits(-bound, bound)


class Kept(Widths):
    """Memories and registers of a centred commit beside the masters."""

    def __init__(self, m, memory: WeightMemory):
        config, bundle = memory.config, memory.bundle
        super().__init__(config, bundle)
        groups = config.groups(bundle.post)
        both = data.StructLayout({"now": unsigned(self.c_bits), "then": unsigned(self.c_bits)})
        m.submodules.c = c = BlockMemory(shape=both, depth=bundle.pre.channels)
        self.c_read, self.c_write = c.read_port(), c.write_port()
        #: Sums of the updates of biases, a word for each group of biases.
        self.B = SmallMemory(m, "updated", data.ArrayLayout(signed(self.B_bits), memory.lanes), groups)
        sums = data.ArrayLayout(signed(self.sum_bits), self.width)
        #: Sums of c w, a word for each slice: with this c, with the next commit's c, and what the latter was
        #: a commit ago.
        self.now, self.then, self.before = (
            SmallMemory(m, name, sums, groups * self.slices) for name in ("now", "then", "before")
        )
        #: A total whose every xi or pixel was 1, of the samples since the last commit; whether there were
        #: any.
        self.whole = Signal(total_bits(config, bundle))
        self.learned = self.whole != 0


class Reading:
    """A slice of the masters as a commit's states read it."""

    def __init__(self, m, memory: WeightMemory, values, kept: Kept):
        #: Address of the word, `READ` cycles before its lanes; which of its slices these are.
        self.at, self.slice = Signal(range(memory.depth)), Signal(range(kept.slices), name="slice")
        self.lanes = slice_of(values, self.slice, kept.width)
        #: Cycles of the state, from 0.
        self.age = Signal(range(16))
        m.d.sync += self.age.eq(self.age + 1)

    def go(self, m, state):
        """That state is next, and its age 0."""
        m.d.sync += self.age.eq(0)
        m.next = state


class Written:
    """A word that a commit writes to the masters, put together of what comes, a lane or a slice at a time."""

    def __init__(self, memory: WeightMemory):
        self.valid, self.address = Signal(name="committed"), Signal(range(memory.depth), name="committed_at")
        bits = memory.config.spec.formats.committed_bits
        self.data = data_registers("committed", signed(bits), memory.lanes)

    def take(self, m, values):
        """In this cycle: what comes is at the end of the word, all else one step nearer to its beginning."""
        m.d.sync += [lane.eq(value) for lane, value in zip(self.data, [*self.data[len(values) :], *values], strict=True)]


def slice_of(word, number, width):
    """So many lanes of a word."""
    if word.shape().length == width:
        return word
    lanes = data.ArrayLayout(word.shape().elem_shape, width)
    return data.View(lanes, word.as_value().word_select(number, lanes.size))
