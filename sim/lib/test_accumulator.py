# amaranth: UnusedElaboratable=no
"""The accumulator against sums in Python, drained several times with and without backpressure."""

import random

import cocotb

from nudge.hw.lib.accumulator import Accumulator
from sim.harness.random_values import generator, integers
from sim.harness.streams import Port, StreamSink, pack, start, wait_for
from sim.harness.units import each, expect, pulse
from sim.harness.words import packed, unpacked

UNITS = {
    "sums": Accumulator(words=5, lanes=2, bits=8, value_bits=5),
    "sums_one_word": Accumulator(words=1, lanes=1, bits=6, value_bits=4),
    "sums_full": Accumulator(words=8, lanes=1, bits=12, value_bits=12),
    # narrower than the values: sums wrap
    "sums_wrapping": Accumulator(words=3, lanes=3, bits=4, value_bits=6),
}
#: Cycles from `drain` to the first word.
DRAIN = 2


@cocotb.test()
async def sums_equal_python(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, item, sink = Port(dut, name), Port(dut, f"{name}__i"), StreamSink(dut, f"{name}__o")
    value_bits = len(item.payload) // unit.lanes
    totals = [[0] * unit.lanes for _ in range(unit.words)]
    for number in range(8):
        # the first pass sets every word; later ones set some anew
        order = [*range(unit.words), *generator().integers(0, unit.words, 20).tolist()]
        values = integers(
            -(1 << (value_bits - 1)), (1 << (value_bits - 1)) - 1, (len(order), unit.lanes)
        ).tolist()
        last = None
        for count, (address, value) in enumerate(zip(order, values, strict=True)):
            # the same address may return after two cycles at the earliest, and often does
            while address == last or random.random() < 0.2:
                item.valid.value, item.payload.value = 0, pack(value, value_bits)
                port.address.value, port.first.value = random.randrange(unit.words), random.getrandbits(1)
                last = None
                await port.edge
            first = (number == 0 and count < unit.words) or random.random() < 0.1
            item.valid.value, item.payload.value = 1, pack(value, value_bits)
            port.address.value, port.first.value = address, int(first)
            totals[address] = [v + (0 if first else t) for t, v in zip(totals[address], value, strict=True)]
            last = address
            await port.edge
        item.valid.value = 0
        await port.edge
        for stall in random.choice(((0.0,), (0.0, 0.5), (0.6, 0.0, 0.3))):
            reader = cocotb.start_soon(sink.get(unit.words, stall=stall))
            await pulse(port.drain, port.edge)
            assert await wait_for(dut, f"{name}__o__valid") == DRAIN, (
                f"{name}: first word not {DRAIN} cycles after drain"
            )
            cycles = 0
            while not reader.done():
                await port.edge
                cycles += 1
            got = unpacked(reader.result(), unit.bits, unit.lanes)
            wrapped = packed(([t % (1 << unit.bits) for t in lanes] for lanes in totals), unit.bits)
            expect(f"{name} pass {number}", got, unpacked(wrapped, unit.bits, unit.lanes))
            if not stall:
                assert cycles <= unit.words, f"{name}: {unit.words} words took {cycles} cycles"
            await port.edge
            assert not port.o__valid.value, f"{name}: more than {unit.words} words"
