"""Spike buffer: a layer's spikes of the step before are read while those of this step are written."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.block_memory import BlockMemory
from hw.lib.flow import Flow

from .interface import SPIKE_BANKS, Step, spike_word


class SpikeBuffer(wiring.Component):
    """`SPIKE_BANKS` planes of spikes with one write and one read port. Each reader of a layer owns one.

    Parameters
    ----------
    words, lanes : int
        Of the layer.

    Members
    -------
    step : In(Step)
        Names the bank that is read and the one that is written; ``first`` makes all spikes read as 0.
    i : In(Flow(spike_word))
        New spikes.
    address : In, data : Out(lanes)
        Synchronous read: ``data`` belongs to the address of the cycle before.
    """

    latency = 1

    def __init__(self, *, words, lanes):
        self.words, self.lanes = words, lanes
        super().__init__(
            {
                "step": In(Step),
                "i": In(Flow(spike_word(words, lanes))),
                "address": In(bits_for(words - 1)),
                "data": Out(lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = SPIKE_BANKS << bits_for(self.words - 1)
        m.submodules.memory = memory = BlockMemory(shape=self.lanes, depth=depth)
        read, write = memory.read_port(), memory.write_port()
        first = Signal()
        m.d.sync += first.eq(self.step.first)
        m.d.comb += [
            write.addr.eq(Cat(self.i.payload.address, self.step.spike_write)),
            write.data.eq(self.i.payload.spikes),
            write.en.eq(self.i.valid),
            read.addr.eq(Cat(self.address, self.step.spike_read)),
            self.data.eq(Mux(first, 0, read.data)),
        ]
        return m
