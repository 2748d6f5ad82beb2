"""Accumulator memory: sums drives word by word, then streams the sums out."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .adder_tree import delay
from .block_memory import BlockMemory
from .bounds import bounded, signed_range
from .flow import Flow


class Accumulator(wiring.Component):
    """Adds items to a memory, then streams the memory out in order of address.

    ``memory[address] = (0 if first else memory[address]) + value``, for each of ``lanes`` lanes.

    Adding and draining exclude each other. Draining doesn't change the memory, so it may be repeated.

    Parameters
    ----------
    words, lanes, bits : int
        ``bits`` is the width of a sum. Sums wrap silently; the caller proves that ``bits`` are enough.
    value_bits : int
        Width of an added value.

    Members
    -------
    i : In(Flow(ArrayLayout(signed(value_bits), lanes)))
    address : In, first : In(1)
        Belong to the item of the same cycle. Two consecutive cycles must not have the same address.
    drain : In(1)
        Strobe of one cycle that starts the output; at the earliest two cycles after the last item.
    o : Out(stream.Signature(ArrayLayout(signed(bits), lanes)))
        First word two cycles after ``drain``, then one in each cycle.
    """

    def __init__(self, *, words, lanes, bits, value_bits):
        self.words, self.lanes, self.bits = words, lanes, bits
        super().__init__(
            {
                "i": In(Flow(data.ArrayLayout(signed(value_bits), lanes))),
                "address": In(bits_for(words - 1)),
                "first": In(1),
                "drain": In(1),
                "o": Out(stream.Signature(data.ArrayLayout(signed(bits), lanes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(shape=self.o.payload.shape(), depth=self.words)
        read, write = memory.read_port(), memory.write_port()

        value, first = Signal(self.i.payload.shape(), reset_less=True), Signal()
        m.d.sync += [value.eq(self.i.payload), first.eq(self.first)]
        m.d.comb += [write.en.eq(delay(m, self.i.valid, 1)), write.addr.eq(delay(m, self.address, 1))]
        for lane in range(self.lanes):
            total = Mux(first, 0, read.data[lane]) + value[lane]
            m.d.comb += bounded(
                write.data[lane], total, *signed_range(self.bits), "``bits`` of whoever has an accumulator"
            )

        draining, index = Signal(), Signal.like(self.address)
        transfer = self.o.valid & self.o.ready
        m.d.comb += [read.addr.eq(self.address), self.o.payload.eq(read.data)]
        with m.If(draining):
            # The next word is addressed in the cycle in which this one leaves.
            m.d.comb += read.addr.eq(Mux(transfer, index + 1, index))
            m.d.sync += self.o.valid.eq(1)
            with m.If(transfer):
                m.d.sync += index.eq(index + 1)
                with m.If(index == self.words - 1):
                    m.d.sync += [draining.eq(0), self.o.valid.eq(0)]
        with m.Elif(self.drain):
            m.d.sync += [draining.eq(1), index.eq(0)]
        return m
