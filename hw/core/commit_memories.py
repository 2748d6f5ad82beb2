"""Memories and registers of a centred commit, and its reads and writes of the masters."""

from amaranth.hdl import Signal, signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.block_memory import BlockMemory, WrittenMemory
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.turns import slice_of

from .totals import total_bits

#: Cycles from the address of a master word to its lanes.
READ = 2

#: Most lanes that a commit processes in parallel, each with a multiplier of its own. Commits are rare, so a
#: word is processed in slices.
AT_ONCE = 2


def slice_lanes(lanes: int) -> int:
    """Return the lanes of a slice: the largest divisor of a word's ``lanes`` up to `AT_ONCE`."""
    return max(width for width in range(1, AT_ONCE + 1) if lanes % width == 0)


class SmallMemory:
    """A memory with one address for both ports: asynchronous read, synchronous write."""

    def __init__(self, m, name, shape, depth):
        m.submodules[name] = memory = WrittenMemory(shape=shape, depth=depth)
        self.read, self.write = memory.read_port(domain="comb"), memory.write_port()
        #: Address of both ports.
        self.at = Signal(bits_for(depth - 1), name=f"{name}_at")
        m.d.comb += [self.read.addr.eq(self.at), self.write.addr.eq(self.at)]


class Widths:
    """Widths of the quantities of a centred commit."""

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle, f = config, bundle, config.spec.formats
        #: Lanes of a word.
        self.lanes = config.lanes[bundle.index]
        #: Lanes of a slice.
        self.width = slice_lanes(self.lanes)
        #: Slices of a word.
        self.slices = self.lanes // self.width
        #: Width of c = rhu(mean, FOLLOW), for any mean that the host may write.
        self.c_bits = bits_for(config.spec.mean_bound)
        #: Width of B, the sum of a bias's updates over a batch.
        self.B_bits = signed_bits(-f.batch_bound, f.batch_bound)
        #: Width of the sum of c w over all inputs of a post neuron.
        bound = config.spec.centred_bound(bundle)
        self.sum_bits = signed_bits(-bound, bound)


class Kept(Widths):
    """Memories and registers that a centred commit needs in addition to the masters."""

    def __init__(self, m, config: Config, bundle: Bundle):
        super().__init__(config, bundle)
        groups = config.groups(bundle.post)
        both = data.StructLayout({"now": unsigned(self.c_bits), "then": unsigned(self.c_bits)})
        m.submodules.c = c = BlockMemory(shape=both, depth=bundle.pre.channels)
        self.c_read, self.c_write = c.read_port(), c.write_port()
        #: B, the sums of bias updates: one word for each post group.
        self.B = SmallMemory(m, "updated", data.ArrayLayout(signed(self.B_bits), self.lanes), groups)
        sums = data.ArrayLayout(signed(self.sum_bits), self.width)
        #: Sums of c w, one word for each slice of each post group. `now`: with this commit's c. `then`: with
        #: the next commit's c. `before`: `then` of the previous commit.
        self.now, self.then, self.before = (
            SmallMemory(m, name, sums, groups * self.slices) for name in ("now", "then", "before")
        )
        #: Total of a channel with each xi or pixel equal to 1 in all samples since the last commit.
        self.whole = Signal(total_bits(config, bundle))
        #: High if at least one sample was trained since the last commit.
        self.learned = self.whole != 0


class Reading:
    """Reads of a commit's states: one slice of a master word."""

    def __init__(self, m, port, kept: Kept):
        #: Address of the word, set `READ` cycles before its lanes are valid; slice of the word in `lanes`.
        self.at, self.slice = port.address, Signal(range(kept.slices), name="slice")
        self.lanes = slice_of(port.word, self.slice, kept.width)
        #: Cycles since the state was entered, from 0.
        self.age = Signal(range(16))
        m.d.sync += self.age.eq(self.age + 1)

    def go(self, m, state):
        """Go to ``state`` and reset `age`."""
        m.d.sync += self.age.eq(0)
        m.next = state


class Written:
    """Writes of a commit: a shift register that fills a master word by lanes or slices."""

    def __init__(self, m, port, kept: Kept):
        self.valid, self.word = port.committed.valid, port.committed.payload
        self.data = data_registers("committed", signed(kept.config.spec.formats.committed_bits), kept.lanes)
        m.d.comb += [lane.eq(value) for lane, value in zip(self.word.masters, self.data, strict=True)]

    def take(self, m, values):
        """Shift ``values`` in at the end of the word, towards lane 0."""
        m.d.sync += [
            lane.eq(value)
            for lane, value in zip(self.data, [*self.data[len(values) :], *values], strict=True)
        ]
