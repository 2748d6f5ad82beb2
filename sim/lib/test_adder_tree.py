# amaranth: UnusedElaboratable=no
"""Adder trees, with carries and without, against a plain sum, for numbers of terms around powers of two."""

import cocotb
from amaranth.hdl import C, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.formats import signed_bits
from nudge.hw.lib.adder_tree import adder_tree, carry_tree, delay, plus, tree_latency
from nudge.hw.lib.flow import Flow
from sim.harness.random_values import integers
from sim.harness.streams import FlowSource, Monitor, start
from sim.harness.units import each, expect
from sim.harness.words import packed

BITS = 5


class Tree(wiring.Component):
    """An adder tree with a delayed valid bit. extra: cycles of latency beyond the shortest."""

    def __init__(self, terms: int, extra: int = 0):
        self.terms, self.latency = terms, tree_latency(terms) + extra
        self.extra = extra
        self.bits = signed_bits(-terms << (BITS - 1), terms << (BITS - 1))
        super().__init__(
            {"i": In(Flow(data.ArrayLayout(signed(BITS), terms))), "o": Out(Flow(signed(self.bits)))}
        )

    def elaborate(self, platform):
        m = Module()
        terms = [Signal(signed(BITS), name=f"term_{n}") for n in range(self.terms)]
        m.d.comb += [term.eq(self.i.payload[n]) for n, term in enumerate(terms)]
        total = adder_tree(m, terms, latency=self.latency if self.extra else None)
        m.d.comb += [self.o.payload.eq(total), self.o.valid.eq(delay(m, self.i.valid, self.latency))]
        return m


class Carried(wiring.Component):
    """A tree of terms with a carry each; a register stage behind it adds the carries that the tree leaves."""

    def __init__(self, terms: int):
        self.terms, self.latency = terms, tree_latency(terms) + 1
        self.bits = signed_bits(-terms << (BITS - 1), terms << (BITS - 1))
        super().__init__(
            {"i": In(Flow(data.ArrayLayout(signed(BITS), terms))), "o": Out(Flow(signed(self.bits)))}
        )

    def elaborate(self, platform):
        m = Module()
        # every second term is subtracted
        terms = [
            (~self.i.payload[n], C(1, 1)) if n % 2 else (self.i.payload[n], C(0, 1))
            for n in range(self.terms)
        ]
        total, carry = carry_tree(m, terms)
        m.d.sync += self.o.payload.eq(plus(total, C(0, signed(1)), carry))
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency))
        return m


CARRIED = {f"carried_{terms}": Carried(terms) for terms in (1, 2, 3, 5, 8, 13)}
TREES = {f"tree_{terms}": Tree(terms) for terms in (1, 2, 3, 4, 5, 9, 16, 17, 36)} | {
    "tree_3_late": Tree(3, extra=2)
}
UNITS = TREES | CARRIED


@cocotb.test()
async def adds_exactly(dut):
    await start(dut)
    await each(dut, TREES, check)


@cocotb.test()
async def carries_make_complements_negative(dut):
    await start(dut)
    await each(dut, CARRIED, check)


async def check(dut, name, unit):
    source = FlowSource(dut, f"{name}__i")
    entries, monitor = Monitor(dut, f"{name}__i"), Monitor(dut, f"{name}__o")
    for gap in (0.0, 0.5):
        for _ in range(4):
            terms = integers(-(1 << (BITS - 1)), (1 << (BITS - 1)) - 1, (10, unit.terms))
            sums = len(monitor.words)
            await source.send(packed(terms, BITS), gap=gap)
            words = await monitor.wait(sums + len(terms))
            wanted = terms.sum(1) if name in TREES else terms[:, ::2].sum(1) - terms[:, 1::2].sum(1)
            expect(name, words[sums:], [int(total) % (1 << unit.bits) for total in wanted], ("sum",))
    assert monitor.cycles == [cycle + unit.latency for cycle in entries.cycles], (
        f"{name}: latency isn't {unit.latency}"
    )
