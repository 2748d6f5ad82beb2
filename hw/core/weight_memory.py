"""Weight memories of a bundle: masters that learn, working copies that the dynamics read, and the commit between them."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import delay
from hw.lib.block_memory import BlockMemory
from hw.lib.flow import Flow
from hw.lib.saturate import saturated
from hw.synapse.interface import tile
from hw.update.interface import update_word

from .interface import bias_word


class WeightMemory(wiring.Component):
    """Master memory (one word of ``lanes`` weights or biases a cycle) and working memory (one tile a cycle).

    Updates never overflow a master between two commits (`Formats.update_bound`). A commit clips each master to
    [-1, 1), writes it back, and rounds it half up to the working copy: weights to 8 bits in the working memory, biases
    to 13 bits on ``bias``. Addresses: `golden.contract.layout`. Model: `golden.model.ops.commit` and
    `golden.model.ops.working`.

    Members
    -------
    tile_address : In, tile : Out(tile)
        Synchronous read of the working memory, at any time but during a commit.
    updates : In(Flow(update_word))
        ``master += update``; one address must not come twice within three cycles.
    commit : In(1), busy : Out(1)
        One pass: busy for `master_words` + 3 cycles.
    bias : Out(Flow(bias_word))
        Working biases, during a commit.
    address, write, write_data : In, read_data : Out
        Host's access, while nothing else goes on: signed 16-bit lanes; ``read_data`` is the low 16 bits of the masters
        at the address of two cycles before, exact after a commit.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.words = layout.master_words(config, bundle)
        lanes = config.lanes[bundle.index]
        super().__init__(
            {
                "tile_address": In(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": Out(tile(config, bundle)),
                "updates": In(Flow(update_word(config, bundle))),
                "commit": In(1),
                "busy": Out(1),
                "bias": Out(Flow(bias_word(config, bundle.post))),
                "address": In(bits_for(self.words - 1)),
                "write": In(1),
                "write_data": In(data.ArrayLayout(signed(config.spec.formats.committed_bits), lanes)),
                "read_data": Out(data.ArrayLayout(signed(config.spec.formats.committed_bits), lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle, f = self.config, self.bundle, self.config.spec.formats
        post, pre = config.lanes[bundle.index], layout.tile_rows(config, bundle)
        tiles, weight_words = layout.tiles(config, bundle), layout.weight_words(config, bundle)

        masters = data.ArrayLayout(signed(f.master_bits), post)
        m.submodules.master = master = BlockMemory(shape=masters, depth=self.words)
        master_read, master_write = master.read_port(), master.write_port()
        # A master word is one pre lane's slice of a tile, so the working memory is written a slice at a time.
        slice_bits = f.weight_bits * post
        m.submodules.working = working = BlockMemory(shape=slice_bits * pre, depth=tiles)
        working_read, working_write = working.read_port(), working.write_port(granularity=slice_bits)
        m.d.comb += [working_read.addr.eq(self.tile_address), self.tile.as_value().eq(working_read.data)]

        # -- who reads: a commit, else an update, else the host
        word, lane, at_tile = Signal(range(self.words)), Signal(range(pre)), Signal(range(tiles))
        walking = Signal()
        m.d.comb += master_read.addr.eq(
            Mux(walking, word, Mux(self.updates.valid, self.updates.payload.address, self.address))
        )
        # block RAM is slow, and slower where several are one memory
        values = Signal(masters, reset_less=True)
        m.d.sync += values.eq(master_read.data)
        for i in range(post):
            m.d.comb += self.read_data[i].eq(values[i])

        # -- commit: walk, then clip, round and write the master two cycles later, the working copy three
        is_bias = word >= weight_words
        with m.If(walking):
            m.d.sync += [word.eq(word + 1), lane.eq(lane + 1)]
            with m.If(lane == pre - 1):
                m.d.sync += [lane.eq(0), at_tile.eq(at_tile + 1)]
            with m.If(word == self.words - 1):
                m.d.sync += walking.eq(0)
        with m.Elif(self.commit):
            m.d.sync += [walking.eq(1), word.eq(0), lane.eq(0), at_tile.eq(0)]
        read = delay(m, walking, 1)
        walked, walked_bias = delay(m, read, 1), delay(m, is_bias, 2)
        walked_word, walked_lane, walked_tile = delay(m, word, 2), delay(m, lane, 2), delay(m, at_tile, 2)
        rounded_valid = delay(m, walked, 1)
        m.d.comb += self.busy.eq(walking | read | walked | rounded_valid)

        updated = delay(m, self.updates.valid, 2)
        coming, update = (Signal(self.updates.payload.shape(), name=name, reset_less=True) for name in ("coming", "update"))
        m.d.sync += [coming.eq(self.updates.payload), update.eq(coming)]

        clipped = [Signal(signed(f.committed_bits), name=f"clipped_{i}") for i in range(post)]
        for i in range(post):
            value = values[i]
            m.d.comb += clipped[i].eq(saturated(value, f.committed_bits))
            with m.If(walked):
                m.d.comb += master_write.data[i].eq(clipped[i])
            with m.Elif(updated):
                m.d.comb += master_write.data[i].eq(value + update.update[i])
            with m.Else():
                m.d.comb += master_write.data[i].eq(self.write_data[i])
        m.d.comb += [
            master_write.addr.eq(Mux(walked, walked_word, Mux(updated, update.address, self.address))),
            master_write.en.eq(walked | updated | self.write),
        ]

        # -- working copies, rounded half up; only the largest masters can overflow: saturate. Then a register, for the way to
        # block RAMs all over the part
        weight_shift, bias_shift = f.master_fraction - f.weight_fraction, f.master_fraction - f.bias_fraction
        half = Mux(walked_bias, 1 << (bias_shift - 1), 1 << (weight_shift - 1))
        weights = []
        for i in range(post):
            rounded = Signal(signed(f.committed_bits + 1), name=f"rounded_{i}")
            weight = Signal(signed(f.weight_bits), name=f"weight_{i}", reset_less=True)
            m.d.comb += rounded.eq(clipped[i] + half)
            m.d.sync += weight.eq(saturated(rounded >> weight_shift, f.weight_bits))
            m.d.sync += self.bias.payload.bias[i].eq(saturated(rounded >> bias_shift, f.bias_bits))
            weights.append(weight)
        m.d.comb += [
            working_write.addr.eq(delay(m, walked_tile, 1)),
            working_write.data.eq(Cat(*weights * pre)),
            working_write.en.eq(delay(m, Mux(walked & ~walked_bias, 1 << walked_lane, 0), 1)),
            self.bias.valid.eq(delay(m, walked & walked_bias, 1)),
            self.bias.payload.address.eq(delay(m, walked_word - weight_words, 1)),
        ]
        return m
