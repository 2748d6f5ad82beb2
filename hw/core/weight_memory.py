"""Weight memories of a bundle: masters, which updates change, and working copies, which the steps read."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
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


def lanes_of(config: Config, bundle: Bundle, bits: int) -> data.ArrayLayout:
    """Return the layout of a word of masters: ``bits`` of each lane."""
    return data.ArrayLayout(signed(bits), config.lanes[bundle.index])


def committed_word(config: Config, bundle: Bundle) -> data.StructLayout:
    """Layout of a word that a commit writes: all weights in order, then all biases. weights, biases: working
    copies are made of it; a word of running means is neither."""
    return data.StructLayout(
        {
            "address": bits_for(layout.image_words(config, bundle) - 1),
            "masters": lanes_of(config, bundle, config.spec.formats.committed_bits),
            "weights": 1,
            "biases": 1,
        }
    )


class MasterPort(wiring.Signature):
    """Access of a commit to a `WeightMemory`, seen from the commit.

    Members
    -------
    reads : Out(1), address : Out
        High during a commit: the master word at ``address`` is read.
    word : In
        Master word at the address of two cycles before.
    committed : Out(Flow(committed_word))
        Word to be written.
    update : In(Flow(update_word))
        Update whose masters are in ``word``.
    keeps : Out(1)
        Constant: the commit keeps the updates of biases; they aren't added to the masters.
    """

    def __init__(self, config: Config, bundle: Bundle):
        super().__init__(
            {
                "reads": Out(1),
                "address": Out(bits_for(layout.image_words(config, bundle) - 1)),
                "word": In(lanes_of(config, bundle, config.spec.formats.master_bits)),
                "committed": Out(Flow(committed_word(config, bundle))),
                "update": In(Flow(update_word(config, bundle))),
                "keeps": Out(1),
            }
        )


class WeightMemory(wiring.Component):
    """Master memory (one word of ``lanes`` weights or biases a cycle) and working memory (one tile
    a cycle).

    Updates never overflow an 18-bit master between two commits (`Formats.update_bound`). A commit is an
    engine beside the memory. Of each word that it writes, this memory makes the working copies: weights of
    8 bits in the working memory, biases of 13 bits on ``bias``, rounded half up and saturated at the top:

        working = min(rhu(master, 15 - fraction), 1 - 2^-fraction)      fraction: 7 of weights, 12 of biases

    (numbers for the default formats). Addresses: `golden.contract.layout`.

    Latency: two cycles to read a master, one to read a tile; an update is stored after three, a committed
    word in the same cycle, its working copies one cycle later.
    Integer model: `golden.model.ops.working_weight` and `working_bias`.

    Members
    -------
    tile_address : In
        Address in the working memory; to be used at any time except during a commit.
    tile : Out(tile)
        The word at the address of the previous cycle.
    updates : In(Flow(update_word))
        ``master += update``; updates to the same address must be at least three cycles apart.
    masters : In(MasterPort(config, bundle))
        A commit's access.
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
        #: Words of the memory.
        self.depth = layout.image_words(config, bundle)
        self.lanes = config.lanes[bundle.index]
        committed = lanes_of(config, bundle, config.spec.formats.committed_bits)
        super().__init__(
            {
                "tile_address": In(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": Out(tile(config, bundle)),
                "updates": In(Flow(update_word(config, bundle))),
                "masters": In(MasterPort(config, bundle)),
                "bias": Out(Flow(bias_word(config, bundle.post))),
                "address": In(bits_for(self.depth - 1)),
                "write": In(1),
                "write_data": In(committed),
                "read_data": Out(committed),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = lanes_of(self.config, self.bundle, self.config.spec.formats.master_bits)
        m.submodules.master = master = BlockMemory(shape=shape, depth=self.depth)
        self._read(m, master.read_port())
        self._update(m)
        self._write(m, master.write_port())
        self._write_working(m)
        return m

    def _read(self, m, read):
        """Return a master word two cycles after its address: the commit's, else an update's or the host's."""
        other = Mux(self.updates.valid, self.updates.payload.address, self.address)
        m.d.comb += read.addr.eq(Mux(self.masters.reads, self.masters.address, other))
        # Block RAM is slow, and slower if a memory spans several blocks, so its output gets a register.
        values = Signal(read.data.shape(), reset_less=True)
        m.d.sync += values.eq(read.data)
        m.d.comb += self.masters.word.eq(values)
        for i in range(self.lanes):
            f, why = (
                self.config.spec.formats,
                "the host reads between a commit, which clips, and the next sample",
            )
            m.d.comb += bounded(self.read_data[i], values[i], f.master_low, f.master_high, why)

    def _update(self, m):
        """Delay an update by two cycles, until its master is read."""
        payload, update = self.updates.payload, self.masters.update
        coming = Signal(payload.shape(), name="coming", reset_less=True)
        ready = Signal(payload.shape(), name="update", reset_less=True)
        m.d.sync += [coming.eq(payload), ready.eq(coming)]
        m.d.comb += [update.valid.eq(delay(m, self.updates.valid, 2)), update.payload.eq(ready)]

    def _write(self, m, write):
        """Write a master word: the commit's, else master + update, else the host's."""
        commit, update = self.masters.committed, self.masters.update
        word, change = commit.payload, update.payload
        kept = self.masters.keeps & (change.address >= layout.weight_words(self.config, self.bundle))
        m.d.comb += [
            write.addr.eq(Mux(commit.valid, word.address, Mux(update.valid, change.address, self.address))),
            write.en.eq(commit.valid | (update.valid & ~kept) | self.write),
        ]
        low, high = signed_range(self.config.spec.formats.master_bits)
        why = "`Formats.update_bound`: clipped by a commit after `max_batch` samples at most"
        for i in range(self.lanes):
            other = Mux(update.valid, self.masters.word[i] + change.update[i], self.write_data[i])
            m.d.comb += bounded(write.data[i], Mux(commit.valid, word.masters[i], other), low, high, why)

    def _write_working(self, m):
        """Write the working copies: rounded half up, and saturated, since the largest masters overflow. A
        register follows for the way to block RAMs across the part."""
        config, bundle, f, commit = self.config, self.bundle, self.config.spec.formats, self.masters.committed
        word, rows, weight_words = (
            commit.payload,
            layout.tile_rows(config, bundle),
            layout.weight_words(config, bundle),
        )
        # A master word is one pre lane's slice of a tile, so the working memory is written slice by slice.
        width = f.weight_bits * self.lanes
        m.submodules.working = working = BlockMemory(shape=width * rows, depth=layout.tiles(config, bundle))
        read, write = working.read_port(), working.write_port(granularity=width)
        weight_shift = f.master_fraction - f.weight_fraction
        bias_shift = f.master_fraction - f.bias_fraction
        row, at = Signal(range(rows)), Signal.like(write.addr)
        with m.If(commit.valid & word.weights), counting(m, row, rows):
            m.d.sync += at.eq(at + 1)
        with m.If(commit.valid & word.biases):
            m.d.sync += [row.eq(0), at.eq(0)]
        half = Mux(word.biases, 1 << (bias_shift - 1), 1 << (weight_shift - 1))
        bias, weights = self.bias.payload, []
        for i in range(self.lanes):
            rounded = Signal(signed(f.committed_bits + 1), name=f"rounded_{i}")
            weight = Signal(signed(f.weight_bits), name=f"weight_{i}", reset_less=True)
            m.d.comb += rounded.eq(word.masters[i] + half)
            m.d.sync += weight.eq(saturated(rounded >> weight_shift, f.weight_bits))
            m.d.sync += bias.bias[i].eq(saturated(rounded >> bias_shift, f.bias_bits))
            weights.append(weight)
        m.d.comb += [
            read.addr.eq(self.tile_address),
            self.tile.as_value().eq(read.data),
            write.addr.eq(delay(m, at, 1)),
            write.data.eq(Cat(*weights * rows)),
            write.en.eq(delay(m, Mux(commit.valid & word.weights, 1 << row, 0), 1)),
            self.bias.valid.eq(delay(m, commit.valid & word.biases, 1)),
            bias.address.eq(delay(m, word.address - weight_words, 1)),
        ]
