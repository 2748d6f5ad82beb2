"""Counters of rare events, in a memory: 32 flip-flops for each would take a tenth of a small part."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for


class Counters(wiring.Component):
    """``count`` counters of ``bits`` bits, which wrap.

    Parameters
    ----------
    count : int
    bits : int
        Width of each counter. A bench uses fewer bits than the registers have, so that counters wrap in it.

    Members
    -------
    increment : In(count)
        Each bit is an event of one counter. An event is noted at once and added within `settling` cycles; of
        several events of one counter within that time, only one is counted.
    clear : In(1)
        Sets all counters to 0 within `settling` cycles; events in the cycle of ``clear`` and later ones
        count.
    address : In, value : Out(bits)
        Synchronous read: ``value`` belongs to the address of the cycle before.
    """

    def __init__(self, count: int, *, bits: int = 32):
        self.count, self.bits = count, bits
        super().__init__(
            {"increment": In(count), "clear": In(1), "address": In(bits_for(count - 1)), "value": Out(bits)}
        )

    @property
    def settling(self) -> int:
        """Cycles until a clear (``count``) and an increment of every counter (3 each) are done, plus 3."""
        return 4 * self.count + 3

    def elaborate(self, platform):
        m = Module()
        # not a `WrittenMemory`: counts begin with the zeros of power-up
        m.submodules.memory = memory = Memory(shape=self.bits, depth=self.count, init=[])
        shown, read, write = memory.read_port(), memory.read_port(), memory.write_port()
        m.d.comb += [shown.addr.eq(self.address), self.value.eq(shown.data)]

        # of the counters with an event, the first is chosen, read, and added to, a cycle each
        waiting, taken, sweeping = Signal(self.count), Signal(self.count), Signal()
        at, reading, adding = Signal(range(self.count)), Signal(), Signal()
        first = Signal(range(self.count))
        for n in reversed(range(self.count)):
            with m.If(waiting[n]):
                m.d.comb += first.eq(n)
        m.d.sync += waiting.eq(Mux(self.clear, 0, waiting & ~taken) | self.increment)
        m.d.comb += [
            taken.bit_select(at, 1).eq(reading),
            read.addr.eq(at),
            write.addr.eq(at),
            write.data.eq(Mux(sweeping, 0, read.data + 1)),
            write.en.eq(sweeping | adding),
        ]
        m.d.sync += [reading.eq(0), adding.eq(reading)]
        with m.If(self.clear):
            m.d.sync += [sweeping.eq(1), adding.eq(0), at.eq(0)]
        with m.Elif(sweeping):
            m.d.sync += at.eq(at + 1)
            with m.If(at == self.count - 1):
                m.d.sync += sweeping.eq(0)
        with m.Elif(waiting.any() & ~reading & ~adding):
            m.d.sync += [reading.eq(1), at.eq(first)]
        return m
