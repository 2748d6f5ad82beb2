"""Spike buffer: stores a layer's new spikes of one sample while those of the other sample are read."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import SLOTS
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.flow import Flow

from .interface import Step, bank_for, bank_of, banks_of, spike_word


class SpikeBuffer(wiring.Component):
    """Planes of a layer's spikes, with one write and one read port. Each synapse engine has its own buffers.

    A half reads the spikes that the previous half wrote, or kept spikes, so never the bank that it writes.
    Latency: `latency`.

    Parameters
    ----------
    words, lanes : int
        Words of the layer, and neurons in a word.
    banks : int
        `banks_of` the layer.
    bits : int
        Width of a spike.
    slots : int
        `Config.slots`. With one slot spikes aren't stored while the source is idle: the half then reads the
        bank.

    Members
    -------
    source : In(Step)
        Controls of the layer that spikes: select the bank to write.
    target : In(Step)
        Controls of the layer that the spikes drive: select the bank to read; ``silent`` reads zeros.
    i : In(Flow(spike_word))
        New spikes.
    address : In, data : Out(lanes * bits)
        Synchronous read: ``data`` belongs to the address of the previous cycle.
    """

    #: Cycles from ``address`` to ``data``.
    latency = 1

    def __init__(self, *, words, lanes, banks, bits=1, slots=SLOTS):
        self.words, self.lanes, self.banks, self.bits, self.slots = words, lanes, banks, bits, slots
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
            write.addr.eq(Cat(self.i.payload.address, bank_for(self.source, self.slots))),
            write.data.eq(self.i.payload.spikes),
            write.en.eq(self.i.valid if self.slots > 1 else self.i.valid & ~self.source.idle),
            read.addr.eq(Cat(self.address, bank_of(self.target, self.slots))),
            self.data.eq(Mux(silent, 0, read.data)),
        ]
        return m


def spike_buffers(m, engine) -> tuple[SpikeBuffer, SpikeBuffer]:
    """Build the spike buffers of the layers below and above an engine with `SynapseSignature`, as its
    submodules."""
    config, bundle = engine.config, engine.bundle
    pre, post = (
        SpikeBuffer(
            words=config.words(layer),
            lanes=config.lanes[layer.index],
            banks=banks_of(layer.index, config),
            bits=config.spec.spike_bits,
            slots=config.slots,
        )
        for layer in (bundle.pre, bundle.post)
    )
    m.submodules.pre, m.submodules.post = pre, post
    for buffer, flow in ((pre, engine.pre_spikes), (post, engine.post_spikes)):
        m.d.comb += [buffer.i.valid.eq(flow.valid), buffer.i.payload.eq(flow.payload)]
    # The spikes of the layer below drive the layer above, and vice versa.
    m.d.comb += [pre.source.eq(engine.pre_step), pre.target.eq(engine.post_step)]
    m.d.comb += [post.source.eq(engine.post_step), post.target.eq(engine.pre_step)]
    return pre, post
