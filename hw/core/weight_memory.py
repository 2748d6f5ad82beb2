"""Weight memories of a bundle: masters, which updates change, and working copies, which the steps read."""

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import MASTER_BITS
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import delay
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded, signed_range
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.loops import counting
from nudge.hw.lib.saturate import saturated
from nudge.hw.synapse.interface import tile
from nudge.hw.update.interface import update_word

from .interface import bias_word


class WeightMemory(wiring.Component):
    """Master memory (one word of ``lanes`` weights or biases a cycle) and working memory (one tile
    a cycle).

    Updates never overflow an 18-bit master between two commits (`Formats.update_bound`). A commit
    clips each master to [-1, 1), writes it back, and rounds it half up to the working copy: weights
    to 8 bits in the working memory, biases to 13 bits on ``bias``; both saturate at the top:

        master  = clip(master, -1, 1 - 2^-15)
        working = min(rhu(master, 15 - fraction), 1 - 2^-fraction)      fraction: 7 of weights, 12 of biases

    (numbers for the default formats). Addresses: `golden.contract.layout`.

    Latency: two cycles to read a master, one to read a tile; an update is stored after three; a commit
    takes `master_words` + 3.
    Integer model: `golden.model.ops.commit`, `working_weight` and `working_bias`.

    Members
    -------
    tile_address : In
        Address in the working memory; to be used at any time except during a commit.
    tile : Out(tile)
        The word at the address of the previous cycle.
    updates : In(Flow(update_word))
        ``master += update``; updates to the same address must be at least three cycles apart.
    commit : In(1)
        One-cycle pulse: begins a pass over all words.
    busy : Out(1)
        High from the cycle after ``commit`` until all words are written.
    bias : Out(Flow(bias_word))
        Working biases, during a commit.
    address : In
        Address of the host's access; only while there is no commit and no update.
    write : In(1)
        Stores ``write_data`` at ``address``.
    write_data : In
        Signed 16-bit lanes.
    read_data : Out
        The low 16 bits of the masters at the address of two cycles before; exact after a commit.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        #: Words of a commit's pass; words of the memory.
        self.words, self.depth = layout.master_words(config, bundle), layout.image_words(config, bundle)
        self.lanes = config.lanes[bundle.index]
        super().__init__(self._members())

    def _members(self):
        config, bundle = self.config, self.bundle
        committed = data.ArrayLayout(signed(config.spec.formats.committed_bits), self.lanes)
        return {
            "tile_address": In(bits_for(layout.tiles(config, bundle) - 1)),
            "tile": Out(tile(config, bundle)),
            "updates": In(Flow(update_word(config, bundle))),
            "commit": In(1),
            "busy": Out(1),
            "bias": Out(Flow(bias_word(config, bundle.post))),
            "address": In(bits_for(self.depth - 1)),
            "write": In(1),
            "write_data": In(committed),
            "read_data": Out(committed),
        }

    def _memories(self, m):
        """Build both memories; return the masters' read and write ports and the working memory's write port.
        The working memory's read port is connected to `tile`."""
        config, bundle, f = self.config, self.bundle, self.config.spec.formats
        rows, tiles = layout.tile_rows(config, bundle), layout.tiles(config, bundle)
        masters = data.ArrayLayout(signed(f.master_bits), self.lanes)
        m.submodules.master = master = BlockMemory(shape=masters, depth=self.depth)
        master_read, master_write = master.read_port(), master.write_port()
        # A master word is one pre lane's slice of a tile, so the working memory is written slice by slice.
        width = f.weight_bits * self.lanes
        m.submodules.working = working = BlockMemory(shape=width * rows, depth=tiles)
        working_read, working_write = working.read_port(), working.write_port(granularity=width)
        m.d.comb += working_read.addr.eq(self.tile_address)
        m.d.comb += self.tile.as_value().eq(working_read.data)
        return master_read, master_write, working_write

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        rows, tiles = layout.tile_rows(config, bundle), layout.tiles(config, bundle)
        master_read, master_write, working_write = self._memories(m)
        word, lane, at_tile = Signal(range(self.words)), Signal(range(rows)), Signal(range(tiles))
        walking = Signal()
        values = self._read(m, word, walking, master_read)
        walk = self._walk(m, walking, word, lane, at_tile)
        clipped = self._write(m, walk, values, master_write)
        self._write_working(m, walk, clipped, working_write, rows)
        return m

    def _read(self, m, word, walking, read):
        """Return a master word two cycles after its address, a commit's, else an update's or the host's."""
        other = Mux(self.updates.valid, self.updates.payload.address, self.address)
        m.d.comb += read.addr.eq(Mux(walking, word, other))
        # Block RAM is slow, and slower if a memory spans several blocks, so its output gets a register.
        values = Signal(read.data.shape(), reset_less=True)
        m.d.sync += values.eq(read.data)
        for i in range(self.lanes):
            f, why = self.config.spec.formats, "the host reads between a commit, which clips, and the next sample"
            m.d.comb += bounded(self.read_data[i], values[i], f.master_low, f.master_high, why)
        return values

    def _walk(self, m, walking, word, lane, at_tile):
        """Build the loop counters of a commit's pass over all words. Return its position two cycles before,
        which is that of the master word read now."""
        rows = layout.tile_rows(self.config, self.bundle)
        is_bias = word >= layout.weight_words(self.config, self.bundle)
        with m.If(walking):
            m.d.sync += word.eq(word + 1)
            with counting(m, lane, rows):
                m.d.sync += at_tile.eq(at_tile + 1)
            with m.If(word == self.words - 1):
                m.d.sync += walking.eq(0)
        with m.Elif(self.commit):
            m.d.sync += [walking.eq(1), word.eq(0), lane.eq(0), at_tile.eq(0)]
        read = delay(m, walking, 1)
        walked, walked_bias = delay(m, read, 1), delay(m, is_bias, 2)
        walked_word, walked_lane, walked_tile = (delay(m, x, 2) for x in (word, lane, at_tile))
        rounded_valid = delay(m, walked, 1)
        m.d.comb += self.busy.eq(walking | read | walked | rounded_valid)
        return Walked(walked, walked_bias, walked_word, walked_lane, walked_tile)

    def _update(self, m):
        """Return strobe and payload of an update two cycles after it arrived, when its master is read."""
        payload = self.updates.payload
        updated = delay(m, self.updates.valid, 2)
        coming = Signal(payload.shape(), name="coming", reset_less=True)
        update = Signal(payload.shape(), name="update", reset_less=True)
        m.d.sync += [coming.eq(payload), update.eq(coming)]
        return updated, update

    def _write(self, m, walk, values, write):
        """Write a master word: clipped in a commit, else master + update, else the host's word. Return the
        masters clipped to [-1, 1)."""
        committed_bits = self.config.spec.formats.committed_bits
        updated, update = self._update(m)
        clipped = [Signal(signed(committed_bits), name=f"clipped_{i}") for i in range(self.lanes)]
        for i in range(self.lanes):
            value = values[i]
            m.d.comb += clipped[i].eq(saturated(value, committed_bits))
            with m.If(walk.valid):
                m.d.comb += write.data[i].eq(clipped[i])
            with m.Elif(updated):
                m.d.comb += learned(write.data[i], value + update.update[i], self.config)
            with m.Else():
                m.d.comb += write.data[i].eq(self.write_data[i])
        other = Mux(updated, update.address, self.address)
        m.d.comb += [
            write.addr.eq(Mux(walk.valid, walk.word, other)),
            write.en.eq(walk.valid | updated | self.write),
        ]
        return clipped

    def _write_working(self, m, walk, clipped, write, rows):
        """Write the working copies: rounded half up, and saturated, since the largest masters overflow. A
        register follows for the way to block RAMs across the part."""
        f, weight_words = self.config.spec.formats, layout.weight_words(self.config, self.bundle)
        weight_shift = f.master_fraction - f.weight_fraction
        bias_shift = f.master_fraction - f.bias_fraction
        half = Mux(walk.bias, 1 << (bias_shift - 1), 1 << (weight_shift - 1))
        bias, weights = self.bias.payload, []
        for i in range(self.lanes):
            rounded = Signal(signed(f.committed_bits + 1), name=f"rounded_{i}")
            weight = Signal(signed(f.weight_bits), name=f"weight_{i}", reset_less=True)
            m.d.comb += rounded.eq(clipped[i] + half)
            m.d.sync += weight.eq(saturated(rounded >> weight_shift, f.weight_bits))
            m.d.sync += bias.bias[i].eq(saturated(rounded >> bias_shift, f.bias_bits))
            weights.append(weight)
        m.d.comb += [
            write.addr.eq(delay(m, walk.tile, 1)),
            write.data.eq(Cat(*weights * rows)),
            write.en.eq(delay(m, Mux(walk.valid & ~walk.bias, 1 << walk.lane, 0), 1)),
            self.bias.valid.eq(delay(m, walk.valid & walk.bias, 1)),
            bias.address.eq(delay(m, walk.word - weight_words, 1)),
        ]

    def serve_lanes(self, m, host, address):
        """Build the host's access, one lane at a time, in the module that contains this memory.

        Words are assembled and split next to their memory, so only single lanes cross the part. ``host`` has
        the `CoreSignature`; ``address`` is its address, one cycle later.
        """
        n = self.bundle.index
        mine = host.bundle == n - 1
        gathered = Signal.like(self.write_data, name=f"gathered_{n}", reset_less=True)
        chosen = Signal(MASTER_BITS, name=f"chosen_{n}", reset_less=True)
        store = Signal(name=f"store_{n}")
        m.d.comb += [self.address.eq(address), self.write_data.eq(gathered), self.write.eq(store)]
        m.d.sync += store.eq(host.write & mine & ~host.busy & (host.lane == self.lanes - 1))
        for lane in range(self.lanes):
            with m.If(host.write & mine & (host.lane == lane)):
                m.d.sync += gathered[lane].eq(host.write_data.as_signed())
        with m.Switch(host.lane):
            for lane in range(self.lanes):
                with m.Case(lane):
                    m.d.sync += chosen.eq(self.read_data[lane].as_unsigned())
        with m.If(mine):
            m.d.sync += host.read_data.eq(chosen)


def learned(target, value, config: Config):
    """Return the assignment of a master with an update added; it can't overflow within a batch."""
    low, high = signed_range(config.spec.formats.master_bits)
    return bounded(target, value, low, high, "`Formats.update_bound`: clipped by a commit after `max_batch` samples at most")


class Walked(NamedTuple):
    """Position of a commit's pass that belongs to the master word read now."""

    #: High if a word was read.
    valid: Signal
    #: High if it holds biases.
    bias: Value
    #: Address of the master word.
    word: Value
    #: Pre lane of the tile.
    lane: Value
    #: Address of the tile.
    tile: Value
