"""Dense synapse engine: both directions of a fully connected bundle in one pass over the weights."""

from typing import NamedTuple

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import carry_tree, data_delay, delay, plus, registered, tree_latency
from nudge.hw.lib.block_memory import WrittenMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.loops import counting

from .interface import SynapseSignature, weighed
from .spike_buffer import spike_buffers

#: Left shift from a weight's LSB (2^-7) to phi's (2^-9).
DENSE_SHIFT = 2


class DenseEngine(wiring.Component):
    """Processes one tile of weights in each cycle, independent of the spikes.

        forward[o]  = 4 sum over i of w[o,i] s[i]
        backward[i] = 4 sum over o of w[o,i] s[o]

    The loop over tiles has the post group innermost. The backward drive of a pre word is complete after
    each ``groups(post)`` tiles and enters a FIFO with room for the whole layer; the forward drives are
    accumulated in a small memory and sent at the end.

    Latency: from ``start`` to the first forward word ``tiles + 3`` cycles and the deeper tree's depth.
    Integer model: `golden.model.ops.dense_forward` and `golden.model.ops.dense_backward`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "dense":
            raise ValueError(f"DenseEngine takes a dense bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        self.pre_lanes = config.lanes[bundle.pre.index]
        self.post_lanes = config.lanes[bundle.post.index]
        #: Pre words and post groups; there are words * groups tiles.
        self.words, self.groups = config.words(bundle.pre), config.groups(bundle.post)
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        pre_buffer, post_buffer = spike_buffers(m, self)

        busy, word, group = Signal(), Signal(range(self.words)), Signal(range(self.groups))
        self._walk(m, busy, word, group)
        m.d.comb += [pre_buffer.address.eq(word), post_buffer.address.eq(group)]

        # One cycle after the addresses: weights and spikes.
        depth = max(tree_latency(self.pre_lanes), tree_latency(self.post_lanes))
        forward, backward = self._add(m, pre_buffer.data, post_buffer.data, depth)
        stages = 2 + depth
        last_group = group == self.groups - 1
        at = Added(
            valid=delay(m, busy, stages),
            group=data_delay(m, group, stages),
            first_word=data_delay(m, word == 0, stages),
            last_group=data_delay(m, last_group, stages),
            end=data_delay(m, last_group & (word == self.words - 1), stages),
        )
        self._forward(m, at, forward)
        self._backward(m, at, backward)
        return m

    def _walk(self, m, busy, word, group):
        """Build the loop counters and addresses, one tile a cycle."""
        with m.If(busy):
            m.d.sync += self.tile_address.eq(self.tile_address + 1)
            with counting(m, group, self.groups):
                m.d.sync += word.eq(word + 1)
                with m.If(word == self.words - 1):
                    m.d.sync += busy.eq(0)
        with m.Elif(self.start):
            m.d.sync += [busy.eq(1), self.tile_address.eq(0), word.eq(0), group.eq(0)]

    def _add(self, m, pre_spikes, post_spikes, depth):
        """Return a tile's sums of both directions as pairs (sum, carry), from adder trees of equal depth."""
        pre, post, bits = range(self.pre_lanes), range(self.post_lanes), self.config.spec.spike_bits

        def weight(pre_lane, post_lane):
            return self.tile[pre_lane * self.post_lanes + post_lane]

        # Product in a register that a silent neuron clears (synchronous reset), which takes no logic.
        def of_spike(spike, weight):
            return registered(m, *weighed(spike, weight))

        forward = [
            carry_tree(
                m, [of_spike(pre_spikes.word_select(i, bits), weight(i, o)) for i in pre], latency=depth
            )
            for o in post
        ]
        backward = [
            carry_tree(
                m, [of_spike(post_spikes.word_select(o, bits), weight(i, o)) for o in post], latency=depth
            )
            for i in pre
        ]
        return forward, backward

    def _forward(self, m, at, forward):
        """Accumulate the forward drives, a word for each post group, and send them at the end. A word is
        read, added to and written in one cycle, because with one group every tile uses the same word."""
        most = self.words * self.pre_lanes << (self.config.spec.formats.weight_bits - 1)
        totals = data.ArrayLayout(signed(signed_bits(-most, most)), self.post_lanes)
        m.submodules.sums = sums = WrittenMemory(shape=totals, depth=self.groups)
        read, write = sums.read_port(domain="comb"), sums.write_port()
        emitting, emitted = Signal(), Signal(bits_for(self.groups - 1))
        m.d.comb += read.addr.eq(Mux(emitting, emitted, at.group))
        m.d.comb += [write.addr.eq(at.group), write.en.eq(at.valid)]
        for lane in range(self.post_lanes):
            old = Mux(at.first_word, 0, read.data[lane])
            m.d.comb += bounded(
                write.data[lane], plus(old, *forward[lane]), -most, most, "all weights at their end"
            )
            m.d.comb += self.forward.payload[lane].eq(read.data[lane] << DENSE_SHIFT)
        m.d.comb += self.forward.valid.eq(emitting)
        with m.If(at.valid & at.end):
            m.d.sync += [emitting.eq(1), emitted.eq(0)]
        with m.Elif(emitting & self.forward.ready):
            m.d.sync += emitted.eq(emitted + 1)
            with m.If(emitted == self.groups - 1):
                m.d.sync += emitting.eq(0)

    def _backward(self, m, at, backward):
        """Accumulate the backward drive of a pre word over all post groups, then put it into the FIFO."""
        most = self.bundle.post.neurons << (self.config.spec.formats.weight_bits - 1)
        word_sums = data.ArrayLayout(signed(signed_bits(-most, most)), self.pre_lanes)
        # A FIFO of two words isn't ready for the second in the cycle after the first.
        queue = SyncFIFOBuffered(width=word_sums.size, depth=max(self.words, 3))
        m.submodules.queue = queue
        running, complete = Signal(word_sums), Signal(word_sums)
        for lane in range(self.pre_lanes):
            total = plus(running[lane], *backward[lane])
            m.d.comb += bounded(complete[lane], total, -most, most, "all weights at their end")
        with m.If(at.valid):
            m.d.sync += running.eq(complete)
            with m.If(at.last_group):
                m.d.sync += running.eq(0)
        m.d.comb += queue.w_data.eq(complete.as_value())
        m.d.comb += queue.w_en.eq(at.valid & at.last_group)
        m.d.comb += [self.backward.valid.eq(queue.r_rdy), queue.r_en.eq(self.backward.ready)]
        for lane in range(self.pre_lanes):
            drive = word_sums(queue.r_data)[lane] << DENSE_SHIFT
            m.d.comb += self.backward.payload[lane].eq(drive)


class Added(NamedTuple):
    """Position of the tile to which the current sums belong."""

    #: High if there is a tile.
    valid: Value
    #: The tile's post group.
    group: Value
    #: High in tiles of the first pre word.
    first_word: Value
    #: High in tiles of the last post group.
    last_group: Value
    #: High in the last tile.
    end: Value
