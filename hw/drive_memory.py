"""Drive memory: the drives of the next step are written while those of this step are streamed out."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .block_memory import BlockMemory
from .flow import Flow
from .step import SPIKE_BANKS, Step


class DriveMemory(wiring.Component):
    """`SPIKE_BANKS` copies of ``words`` words, numbered like the spike banks.

    The drives of the spikes that the free phase left stay in their copy: both nudged phases start by reading them. Words
    that are never written read as 0.

    Parameters
    ----------
    words, lanes, bits : int
        ``bits`` is the width of a drive in the memory.

    Members
    -------
    step : In(Step), start : In(1)
        ``start`` sends all words of copy `Step.spike_read` once; zeros in a sample's first step.
    i : In(Flow({address, drives}))
        Written to copy `Step.spike_write`.
    o : Out(stream.Signature(ArrayLayout(signed(bits), lanes)))
        First word two cycles after ``start``, then one in each cycle.
    """

    def __init__(self, *, words, lanes, bits):
        self.words, self.lanes, self.bits = words, lanes, bits
        self.drives = data.ArrayLayout(signed(bits), lanes)
        item = data.StructLayout({"address": bits_for(words - 1), "drives": self.drives})
        super().__init__(
            {
                "step": In(Step),
                "start": In(1),
                "i": In(Flow(item)),
                "o": Out(stream.Signature(self.drives)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words, depth = self.words, SPIKE_BANKS * self.words
        m.submodules.memory = memory = BlockMemory(shape=self.drives, depth=depth)
        read, write = memory.read_port(), memory.write_port()

        def base(bank):
            return Mux(bank == 2, 2 * words, Mux(bank == 1, words, 0))

        written = Signal(self.i.payload.shape(), reset_less=True)
        writing, address = Signal(), Signal(range(depth))
        m.d.sync += [writing.eq(self.i.valid), written.eq(self.i.payload)]
        m.d.sync += address.eq(self.i.payload.address + base(self.step.spike_write))
        m.d.comb += [write.addr.eq(address), write.data.eq(written.drives), write.en.eq(writing)]

        at, left = Signal(range(depth)), Signal(range(words + 1))
        m.d.comb += [read.addr.eq(at), read.en.eq(~self.o.valid | self.o.ready)]
        with m.If(read.en):
            m.d.sync += self.o.valid.eq(left != 0)
            with m.If(left != 0):
                m.d.sync += [at.eq(at + 1), left.eq(left - 1)]
        # a sample's first step has no spikes before it
        silent = Signal()
        with m.If(self.start):
            m.d.sync += [at.eq(base(self.step.spike_read)), left.eq(words), silent.eq(self.step.first)]
        m.d.comb += self.o.payload.eq(Mux(silent, 0, read.data.as_value()))
        return m
