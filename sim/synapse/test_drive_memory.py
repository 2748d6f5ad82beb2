# amaranth: UnusedElaboratable=no
"""The drive memory against a list of banks: one bank is streamed out while another is written."""

import random

import cocotb
from cocotb.triggers import gather

from nudge.golden.contract.shapes import Layer
from nudge.hw.synapse.drive_memory import DriveMemory
from sim.harness.random_values import integers
from sim.harness.streams import FlowSource, Port, StreamSink, pack, start, wait_for
from sim.harness.units import each, expect, pulse
from sim.harness.words import unpacked

UNITS = {
    "drives_5x2": DriveMemory(Layer(1, 2, 5, 1), lanes=2, bits=6, banks=2),
    "drives_1x1": DriveMemory(Layer(1, 1, 1, 1), lanes=1, bits=9, banks=3),
    "drives_8x3": DriveMemory(Layer(1, 6, 2, 2), lanes=3, bits=4, banks=4),
    "drives_odd": DriveMemory(Layer(1, 4, 3, 5), lanes=2, bits=5, banks=4, wide=2),
    "drives_even": DriveMemory(Layer(1, 3, 2, 4), lanes=3, bits=6, banks=2, wide=2),
}
#: Cycles from `start` to the first word.
FIRST_WORD = 2


@cocotb.test()
async def banks_are_kept(dut):
    await start(dut, before=0)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, source, sink = Port(dut, name), FlowSource(dut, f"{name}__i"), StreamSink(dut, f"{name}__o")
    item = source_shape(unit)
    # the last row is never written, so it stays 0
    banks = [[[0] * unit.lanes for _ in range(unit.words)] for _ in range(unit.banks)]
    top = (1 << (unit.bits - 1)) - 1
    for number in range(24):
        read_bank, write_bank = random.sample(range(unit.banks), 2)
        silent = random.random() < 0.2
        port.read_bank.value, port.write_bank.value, port.silent.value = read_bank, write_bank, int(silent)
        await port.edge
        reader = cocotb.start_soon(sink.get(unit.words, stall=random.choice((0.0, 0.5))))
        await pulse(port.start, port.edge)
        new = integers(-top - 1, top, (max(unit.rows - 1, 1), unit.wide, unit.lanes)).tolist()
        order = random.sample(range(len(new)), len(new))
        words = [item.const({"address": at, "drives": new[at]}).as_bits() for at in order]
        writer = cocotb.start_soon(source.send(words, gap=random.choice((0.0, 0.4))))
        cycles = await wait_for(dut, f"{name}__o__valid")
        assert cycles == FIRST_WORD, f"{name}: first word after {cycles} cycles, expected {FIRST_WORD}"
        await gather(reader, writer)
        where = f"{name}, pass {number}"
        expected = [[0] * unit.lanes] * unit.words if silent else banks[read_bank]
        expect(where, unpacked(reader.result(), unit.bits, unit.lanes), expected)
        for _ in range(3):
            await port.edge
            assert not port.o__valid.value, f"{where}: more than {unit.words} words"
        for at in order:
            line, row = divmod(at, unit.rows_of_line)
            for n in range(unit.wide):
                if (column := row * unit.wide + n) < unit.layer.width:
                    banks[write_bank][line * unit.layer.width + column] = new[at][n]


def source_shape(unit):
    """Return the layout of the words at the write port."""
    return unit.signature.members["i"].signature.members["payload"].shape


def test_a_word_is_packed_like_a_stream():
    unit = UNITS["drives_5x2"]
    assert unit.drives.const([1, -1]).as_bits() == pack([1, -1], unit.bits)
