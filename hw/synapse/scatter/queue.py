"""Spike queue: a layer's spikes of one half, from words to single spikes with their positions."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.loops import counting
from nudge.hw.synapse.interface import spikes_of


def spike_of(config: Config, layer: Layer):
    """Return the layout of a single spike: first channel of its group, lane, row, column, sign."""
    return data.StructLayout(
        {
            "base": unsigned(bits_for(layer.channels - 1)),
            "lane": unsigned(bits_for(config.lanes[layer.index] - 1)),
            "y": unsigned(bits_for(layer.height - 1)),
            "x": unsigned(bits_for(layer.width - 1)),
            "negative": unsigned(1),
        }
    )


class SpikeQueue(wiring.Component):
    """Stores the words of a half that have a spike, and sends their spikes one by one, lowest lane first.

    A word without spikes takes no room and no time; any other takes a cycle in addition to those of its
    spikes, at most. The memory has room for all words of the layer, so it never overflows.

    Parameters
    ----------
    config : Config
    layer : Layer
    reach : tuple[int, int]
        Rows and columns whose spikes drive anything; the words of others aren't stored.

    Members
    -------
    start : In(1)
        One-cycle pulse at the begin of a half, while ``empty``.
    i : In(Flow(spikes_of))
        All words of the layer in order, half after half.
    o : Out(stream.Signature(spike_of))
        Single spikes. ``negative`` is 0 without fine spikes.
    mute : In(1)
        The words of this half aren't stored.
    empty : Out(1)
        High while no spike waits.
    """

    def __init__(self, config: Config, layer: Layer, reach: tuple[int, int]):
        self.config, self.layer, self.reach = config, layer, reach
        super().__init__(
            {
                "start": In(1),
                "i": In(Flow(spikes_of(config, layer))),
                "mute": In(1),
                "o": Out(stream.Signature(spike_of(config, layer))),
                "empty": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, layer, bits = self.config, self.layer, self.config.spec.spike_bits
        words, lanes = config.words(layer), config.lanes[layer.index]
        place = {name: self.o.payload[name].shape() for name in ("base", "y", "x")}
        stored = data.StructLayout(place | {"spikes": unsigned(lanes * bits)})
        m.submodules.memory = memory = BlockMemory(shape=stored, depth=words)
        read, write = memory.read_port(), memory.write_port()
        count = range(words + 1)
        written, fetched = Signal(count), Signal(count)

        # words arrive in order, so positions are counted instead of divided out of the address
        base, y, x = (Signal(shape, name=f"at_{name}") for name, shape in place.items())
        with m.If(self.i.valid), counting(m, x, layer.width), counting(m, y, layer.height):
            m.d.sync += base.eq(base + lanes)
            with m.If(base == layer.channels - lanes):
                m.d.sync += base.eq(0)
        item = write.data
        m.d.comb += [item.base.eq(base), item.y.eq(y), item.x.eq(x), item.spikes.eq(self.i.payload.spikes)]
        spikes = Cat(self.i.payload.spikes.word_select(lane, bits)[0] for lane in range(lanes))
        within = (y < self.reach[0]) & (x < self.reach[1])
        m.d.comb += [write.addr.eq(written), write.en.eq(self.i.valid & ~self.mute & within & spikes.any())]
        with m.If(write.en):
            m.d.sync += written.eq(written + 1)

        # `waits`: the memory's output is a word. `left`: spikes of the word before it that aren't sent yet.
        waits, word = Signal(), Signal(stored, reset_less=True)
        left, take, sent = Signal(lanes), Signal(), Signal()
        m.d.comb += [sent.eq(self.o.valid & self.o.ready), take.eq(waits & (left == 0))]
        m.d.comb += [read.addr.eq(fetched), read.en.eq((~waits | take) & (fetched != written))]
        with m.If(read.en):
            m.d.sync += [fetched.eq(fetched + 1), waits.eq(1)]
        with m.Elif(take):
            m.d.sync += waits.eq(0)
        with m.If(take):
            m.d.sync += word.eq(read.data)
            m.d.sync += left.eq(Cat(read.data.spikes.word_select(lane, bits)[0] for lane in range(lanes)))
        with m.Elif(sent):
            m.d.sync += bounded(left, left & (left - 1), 0, (1 << lanes) - 1, "a bit of the mask is cleared")
        with m.If(self.start):
            m.d.sync += [written.eq(0), fetched.eq(0)]

        spike = self.o.payload
        m.d.comb += [self.o.valid.eq(left != 0), self.empty.eq((fetched == written) & ~waits & (left == 0))]
        m.d.comb += [spike[name].eq(word[name]) for name in place]
        for lane in reversed(range(lanes)):
            with m.If(left[lane]):
                m.d.comb += spike.lane.eq(lane)
                if bits > 1:
                    m.d.comb += spike.negative.eq(word.spikes.word_select(lane, bits)[1])
        return m
