"""The prediction: the output with the largest window sum."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for


class ArgMax(wiring.Component):
    """Finds the largest of ``words`` x ``lanes`` values, one value a cycle; the lowest index wins a tie.

    Integer model: `golden.model.chunks.first_largest`.

    Parameters
    ----------
    words, lanes, bits : int
        ``bits`` is the width of a value, which is unsigned.

    Members
    -------
    start : In(1), busy : Out(1)
        Busy for words * (lanes + 1) cycles after ``start``.
    address : Out, values : In(ArrayLayout(unsigned(bits), lanes))
        Synchronous read: ``values`` belongs to the address of the cycle before.
    index : Out
        word * lanes + lane of the largest value; stable while not busy.
    """

    def __init__(self, *, words, lanes, bits):
        self.words, self.lanes, self.bits = words, lanes, bits
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "address": Out(bits_for(words - 1)),
                "values": In(data.ArrayLayout(unsigned(bits), lanes)),
                "index": Out(bits_for(words * lanes - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lane, current = Signal(range(self.lanes)), Signal.like(self.index)
        best, value = Signal(self.bits), Signal(self.bits)
        m.d.comb += value.eq(self.values[lane])
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [self.address.eq(0), current.eq(0)]
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += lane.eq(0)
                m.next = "COMPARE"
            with m.State("COMPARE"):
                with m.If((current == 0) | (value > best)):
                    m.d.sync += [best.eq(value), self.index.eq(current)]
                m.d.sync += [current.eq(current + 1), lane.eq(lane + 1)]
                with m.If(lane == self.lanes - 1):
                    m.d.sync += self.address.eq(self.address + 1)
                    m.next = "READ"
                    with m.If(self.address == self.words - 1):
                        m.next = "IDLE"
        return m
