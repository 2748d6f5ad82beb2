# amaranth: UnusedElaboratable=no
"""The event bank against a dictionary of sums: three copies, kept and forgotten as the steps of whole samples say."""

import random

import cocotb

from hw.event_bank import EventBank
from hw.step import Step

from .reference import each, plan
from .streams import Port, pack, start, unpack

UNITS = {
    "bank_2x1": EventBank(depth=2, lanes=1, bits=11, value_bits=6),
    "bank_5x3": EventBank(depth=5, lanes=3, bits=12, value_bits=6),
    "bank_8x2": EventBank(depth=8, lanes=2, bits=15, value_bits=10),
}


@cocotb.test()
@cocotb.parametrize(gap=[0.0, 0.5])
async def sums_equal_the_model(dut, gap):
    await start(dut)
    await each(dut, UNITS, check, gap)


async def check(dut, name, unit, gap):
    port, bits = Port(dut, name), len(getattr(dut, f"{name}__i__payload")) // unit.lanes
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    # so many of the lowest fill a sum
    most = 1 << (unit.bits - bits)
    silence = [[0] * unit.lanes] * unit.depth
    for sample in range(4):
        copies: dict[int, list[list[int]]] = {}
        for planned in plan(window=1, free=3, nudged=3):
            fields = planned.fields
            old = silence if fields["first"] else copies[fields["spike_read"]]
            new = copies[fields["spike_write"]] = [[0] * unit.lanes for _ in range(unit.depth)]
            port.step.value, port.start.value = Step.const(fields).as_bits(), 1
            kind = random.choice(("none", "one", "all", "random", "random"))
            additions = {"none": 0, "one": 1}.get(kind, random.randint(1, 3 * most))
            left = dict.fromkeys(range(unit.depth), most)
            for cycle in range(1 + 2 * unit.depth + additions):
                address, read = random.randrange(unit.depth), random.randrange(unit.depth)
                if kind == "all":
                    address = cycle % unit.depth
                valid = cycle > 0 and additions > 0 and left[address] > 0 and random.random() >= gap
                values = [random.choice((low, high, random.randint(low, high))) for _ in range(unit.lanes)]
                if kind == "all":
                    values = [low] * unit.lanes
                port.i__valid.value, port.i__payload.value = int(valid), pack(values, bits)
                port.address.value, port.read_address.value = address, read
                await port.edge
                port.start.value = 0
                got = unpack(int(port.read_data.value), unit.bits, unit.lanes, signed=True)
                where = f"{name}, sample {sample}, {planned.phase} step {planned.t}, cycle {cycle}, word {read}"
                assert got == old[read], f"{where}: got {got}, expected {old[read]}"
                if valid:
                    new[address] = [a + b for a, b in zip(new[address], values, strict=True)]
                    left[address] -= 1
                    additions -= 1
            port.i__valid.value = 0
