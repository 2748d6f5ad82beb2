"""Dense synapse engine: both directions of a fully connected bundle in one pass over its weights."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import adder_tree, delay, tree_latency

from .interface import SynapseSignature
from .spike_buffer import SpikeBuffer

#: Binary places between a weight (2^-7) and phi (2^-9).
DENSE_SHIFT = 2


class DenseEngine(wiring.Component):
    """Takes one tile of weights in each cycle, whatever spikes: the first forward word leaves ``tiles + 3`` cycles, and
    those of the deeper adder tree, after ``start``.

    Tiles run with the post group innermost: the backward drive of a pre word is complete after each ``groups(post)``
    tiles and goes to a queue as long as the layer; the forward drive gathers in a small memory and leaves at the end.
    Model: `golden.model.ops.dense_forward` and `golden.model.ops.dense_backward`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "dense":
            raise ValueError(f"DenseEngine takes a dense bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = bundle.pre, bundle.post
        pre_lanes, post_lanes = config.lanes[pre.index], config.lanes[post.index]
        words, groups = config.words(pre), config.groups(post)
        weight_bits = config.spec.formats.weight_bits

        m.submodules.pre = pre_buffer = SpikeBuffer(words=words, lanes=pre_lanes)
        m.submodules.post = post_buffer = SpikeBuffer(words=groups, lanes=post_lanes)
        for buffer, flow in ((pre_buffer, self.pre_spikes), (post_buffer, self.post_spikes)):
            m.d.comb += [buffer.step.eq(self.step), buffer.i.valid.eq(flow.valid), buffer.i.payload.eq(flow.payload)]

        # -- addresses: one tile a cycle
        busy, word, group = Signal(), Signal(range(words)), Signal(range(groups))
        last_group = group == groups - 1
        with m.If(busy):
            m.d.sync += [self.tile_address.eq(self.tile_address + 1), group.eq(group + 1)]
            with m.If(last_group):
                m.d.sync += [group.eq(0), word.eq(word + 1)]
                with m.If(word == words - 1):
                    m.d.sync += busy.eq(0)
        with m.Elif(self.start):
            m.d.sync += [busy.eq(1), self.tile_address.eq(0), word.eq(0), group.eq(0)]
        m.d.comb += [pre_buffer.address.eq(word), post_buffer.address.eq(group)]

        # -- a cycle later: weights and spikes are there
        depth = max(tree_latency(pre_lanes), tree_latency(post_lanes))

        def weight(pre_lane, post_lane):
            return self.tile[pre_lane * post_lanes + post_lane]

        # registers that a silent neuron clears, which takes no logic
        def of_spike(spike, weight):
            return delay(m, Mux(spike, weight, 0), 1, reset_less=True)

        forward = [
            adder_tree(m, [of_spike(pre_buffer.data[i], weight(i, o)) for i in range(pre_lanes)], latency=depth)
            for o in range(post_lanes)
        ]
        backward = [
            adder_tree(m, [of_spike(post_buffer.data[o], weight(i, o)) for o in range(post_lanes)], latency=depth)
            for i in range(pre_lanes)
        ]
        stages = 2 + depth
        valid = delay(m, busy, stages)
        at_group = delay(m, group, stages, reset_less=True)
        first_word = delay(m, word == 0, stages, reset_less=True)
        at_last_group = delay(m, last_group, stages, reset_less=True)
        at_end = delay(m, last_group & (word == words - 1), stages, reset_less=True)

        # -- forward: read, add and write in one cycle, since with one group every tile hits the same word
        total_bits = signed_bits(-words * pre_lanes << (weight_bits - 1), words * pre_lanes << (weight_bits - 1))
        totals = data.ArrayLayout(signed(total_bits), post_lanes)
        m.submodules.sums = sums = Memory(shape=totals, depth=groups, init=[])
        read, write = sums.read_port(domain="comb"), sums.write_port()
        emitting, emitted = Signal(), Signal(bits_for(groups - 1))
        m.d.comb += [read.addr.eq(Mux(emitting, emitted, at_group)), write.addr.eq(at_group), write.en.eq(valid)]
        for lane in range(post_lanes):
            m.d.comb += write.data[lane].eq(Mux(first_word, 0, read.data[lane]) + forward[lane])
            m.d.comb += self.forward.payload[lane].eq(read.data[lane] << DENSE_SHIFT)
        m.d.comb += self.forward.valid.eq(emitting)
        with m.If(valid & at_end):
            m.d.sync += [emitting.eq(1), emitted.eq(0)]
        with m.Elif(emitting & self.forward.ready):
            m.d.sync += emitted.eq(emitted + 1)
            with m.If(emitted == groups - 1):
                m.d.sync += emitting.eq(0)

        # -- backward: a running sum over the groups of one word, then the queue
        most = post.neurons << (weight_bits - 1)
        word_sums = data.ArrayLayout(signed(signed_bits(-most, most)), pre_lanes)
        m.submodules.queue = queue = SyncFIFOBuffered(width=word_sums.size, depth=words)
        running, complete = Signal(word_sums), Signal(word_sums)
        for lane in range(pre_lanes):
            m.d.comb += complete[lane].eq(running[lane] + backward[lane])
        with m.If(valid):
            m.d.sync += running.eq(complete)
            with m.If(at_last_group):
                m.d.sync += running.eq(0)
        m.d.comb += [queue.w_data.eq(complete.as_value()), queue.w_en.eq(valid & at_last_group)]
        m.d.comb += [self.backward.valid.eq(queue.r_rdy), queue.r_en.eq(self.backward.ready)]
        for lane in range(pre_lanes):
            m.d.comb += self.backward.payload[lane].eq(word_sums(queue.r_data)[lane] << DENSE_SHIFT)
        return m
