"""Totals of a layer's channels between two commits: free window sums, or pixels, of all trained samples."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.block_memory import WrittenMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.loops import counting


def total_bits(config: Config, bundle: Bundle) -> int:
    """Width of a total: a channel's sum over all positions and up to `Formats.max_batch` samples."""
    return config.spec.total_bound(bundle).bit_length()


def read_word(config: Config, bundle: Bundle):
    """Layout of the word of one position of a channel group: free window sums, or one pixel."""
    f = config.spec.formats
    bits = f.pixel_bits if bundle.on_image else config.spec.sum_bits
    return data.ArrayLayout(unsigned(bits), config.lanes[bundle.pre.index])


class Totals(wiring.Component):
    """Adds up each pre channel over all positions and trained samples; a word of totals for each group.

    A total never overflows (`total_bits`).
    Latency: ``totals`` includes a word from the cycle after it arrived.
    Integer model: `golden.model.centring.read`.

    Parameters
    ----------
    config : Config
    bundle : Bundle
        Bundle with the pre layer to add up.

    Members
    -------
    i : In(Flow(read_word))
        All words of a sample: the positions of one group, then those of the next.
    group : In, totals : Out(ArrayLayout(unsigned(total_bits), lanes))
        The totals of ``group``, in the same cycle; only while ``i`` is idle.
    clear : In(1)
        Zeroes the totals of ``group``; only while ``i`` is idle.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.groups = config.groups(bundle.pre)
        super().__init__(
            {
                "i": In(Flow(read_word(config, bundle))),
                "group": In(bits_for(self.groups - 1)),
                "totals": Out(
                    data.ArrayLayout(unsigned(total_bits(config, bundle)), config.lanes[bundle.pre.index])
                ),
                "clear": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        positions = self.bundle.pre.positions
        # Read, add and write in one cycle, because successive words belong to the same group.
        m.submodules.memory = memory = WrittenMemory(shape=self.totals.shape(), depth=self.groups)
        read, write = memory.read_port(domain="comb"), memory.write_port()
        position, at = Signal(range(positions)), Signal.like(self.group)
        with m.If(self.i.valid):
            with counting(m, position, positions):
                m.d.sync += at.eq(Mux(at == self.groups - 1, 0, at + 1))
        m.d.comb += read.addr.eq(Mux(self.i.valid, at, self.group))
        m.d.comb += [
            self.totals.eq(read.data),
            write.addr.eq(read.addr),
            write.en.eq(self.i.valid | self.clear),
        ]
        for lane, value in enumerate(self.i.payload):
            most = self.config.spec.total_bound(self.bundle)
            total = Mux(self.i.valid, read.data[lane] + value, 0)
            m.d.comb += bounded(
                write.data[lane], total, 0, most, "`Spec.total_bound`: cleared by each commit"
            )
        return m
