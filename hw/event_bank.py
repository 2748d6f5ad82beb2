"""Event bank: one parity bank of drives, to which events add a whole word in a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .flow import Flow
from .step import SPIKE_BANKS, Step


class EventBank(wiring.Component):
    """`SPIKE_BANKS` copies of ``depth`` words: one gathers the drives of the next step while another one is read.

    The copies have the numbers of the spike banks: the drives of the spikes that the free phase left stay as they are, and
    both nudged phases start by reading them. Words that nothing was added to read as 0: each copy has one bit a word,
    and ``start`` forgets all bits of the copy that is written next, so nothing is ever cleared word by word.

    Memories are read in the cycle of the address (distributed memory): the same word may come in each cycle.

    Parameters
    ----------
    depth, lanes, bits : int
        ``bits`` is the width of a sum, which the caller proves to be enough.
    value_bits : int
        Width of what is added.

    Members
    -------
    step : In(Step), start : In(1)
    i : In(Flow(ArrayLayout(signed(value_bits), lanes))), address : In
        Added to ``address`` of the copy `Step.spike_write`; not in the cycle of ``start``.
    read_address : In, read_data : Out(ArrayLayout(signed(bits), lanes))
        Of the copy `Step.spike_read`; 0 in a sample's first step.
    """

    latency = 0

    def __init__(self, *, depth, lanes, bits, value_bits):
        self.depth, self.lanes, self.bits = depth, lanes, bits
        super().__init__(
            {
                "step": In(Step),
                "start": In(1),
                "i": In(Flow(data.ArrayLayout(signed(value_bits), lanes))),
                "address": In(bits_for(depth - 1)),
                "read_address": In(bits_for(depth - 1)),
                "read_data": Out(data.ArrayLayout(signed(bits), lanes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size = 1 << len(self.address)
        word = self.read_data.shape()
        m.submodules.memory = memory = Memory(shape=word, depth=SPIKE_BANKS * size, init=[])
        old, read, write = memory.read_port(domain="comb"), memory.read_port(domain="comb"), memory.write_port()
        written, seen = Signal(SPIKE_BANKS * size), Signal()
        at, read_at = Cat(self.address, self.step.spike_write), Cat(self.read_address, self.step.spike_read)
        m.d.comb += [old.addr.eq(at), write.addr.eq(at), write.en.eq(self.i.valid), seen.eq(written.bit_select(at, 1))]
        for lane in range(self.lanes):
            m.d.comb += write.data[lane].eq(Mux(seen, old.data[lane], 0) + self.i.payload[lane])
        with m.If(self.start):
            for copy in range(SPIKE_BANKS):
                with m.If(self.step.spike_write == copy):
                    m.d.sync += written[copy * size : (copy + 1) * size].eq(0)
        with m.Elif(self.i.valid):
            m.d.sync += written.bit_select(at, 1).eq(1)

        m.d.comb += read.addr.eq(read_at)
        with m.If(~self.step.first & written.bit_select(read_at, 1)):
            m.d.comb += self.read_data.eq(read.data)
        return m
