"""Spike buffer: a layer's last spikes are read while the new ones, of the other sample, are written."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.block_memory import BlockMemory
from hw.lib.flow import Flow

from .interface import Step, bank_for, bank_of, banks_of, spike_word


class SpikeBuffer(wiring.Component):
    """Planes of spikes with one write and one read port. Each reader of a layer owns one.

    A half reads what the half before wrote, or kept, and so never the bank that it writes.

    Parameters
    ----------
    words, lanes : int
        Words of the layer, and neurons of a word.
    banks : int
        `banks_of` the layer.
    bits : int
        Width of a spike.

    Members
    -------
    source : In(Step)
        What the layer of these spikes does: selects the bank that is written.
    target : In(Step)
        What the layer that they drive does: selects the bank that is read; ``silent`` makes all spikes read
        as 0.
    i : In(Flow(spike_word))
        New spikes.
    address : In, data : Out(lanes * bits)
        Synchronous read: ``data`` belongs to the address of the cycle before.
    """

    latency = 1

    def __init__(self, *, words, lanes, banks, bits=1):
        self.words, self.lanes, self.banks, self.bits = words, lanes, banks, bits
        super().__init__(
            {
                "source": In(Step),
                "target": In(Step),
                "i": In(Flow(spike_word(words, lanes, bits))),
                "address": In(bits_for(words - 1)),
                "data": Out(lanes * bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = self.banks << bits_for(self.words - 1)
        m.submodules.memory = memory = BlockMemory(shape=self.lanes * self.bits, depth=depth)
        read, write = memory.read_port(), memory.write_port()
        silent = Signal()
        m.d.sync += silent.eq(self.target.silent)
        m.d.comb += [
            write.addr.eq(Cat(self.i.payload.address, bank_for(self.source))),
            write.data.eq(self.i.payload.spikes),
            write.en.eq(self.i.valid),
            read.addr.eq(Cat(self.address, bank_of(self.target))),
            self.data.eq(Mux(silent, 0, read.data)),
        ]
        return m


def spike_buffers(m, engine) -> tuple[SpikeBuffer, SpikeBuffer]:
    """The buffers of the layer below an engine with `SynapseSignature`, and of the one above, as its
    submodules."""
    config, bundle = engine.config, engine.bundle
    pre, post = (
        SpikeBuffer(
            words=config.words(layer),
            lanes=config.lanes[layer.index],
            banks=banks_of(layer.index, config),
            bits=config.spec.spike_bits,
        )
        for layer in (bundle.pre, bundle.post)
    )
    m.submodules.pre, m.submodules.post = pre, post
    for buffer, flow in ((pre, engine.pre_spikes), (post, engine.post_spikes)):
        m.d.comb += [buffer.i.valid.eq(flow.valid), buffer.i.payload.eq(flow.payload)]
    # the spikes of the layer below drive the one above, and the reverse
    m.d.comb += [pre.source.eq(engine.pre_step), pre.target.eq(engine.post_step)]
    m.d.comb += [post.source.eq(engine.post_step), post.target.eq(engine.pre_step)]
    return pre, post
