# amaranth: UnusedElaboratable=no
"""The record writer writes the model's bytes of records and table entries, and no other word."""

import random

import cocotb

from nudge.golden.contract.stored import CAPACITY, ENTRY_WORDS, ImageStatus, image_crc, sealed
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import ImageStore
from nudge.hw.memory.interface import Record
from nudge.hw.memory.record_writer import RecordWriter
from sim.harness.streams import Port, StreamSource, start, wait_for
from sim.harness.units import pulse

from .images import DIGITS
from .served import Served

NAME = "record_writer"
UNITS = {NAME: RecordWriter()}


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def the_memory_is_the_models(dut, stall):
    await start(dut)
    port, model = Port(dut, NAME), ImageStore(CAPACITY)
    memory = Served(dut, f"{NAME}__access", write=f"{NAME}__write", words=bytearray(CAPACITY), stall=stall)
    record, data = StreamSource(dut, f"{NAME}__record"), StreamSource(dut, f"{NAME}__data")
    assert (port.count.value, port.end.value) == (model.count, model.end)
    for number in range(24):
        # the next index, or an earlier one again
        index = model.count if model.count < 4 or random.random() < 0.6 else random.randrange(model.count)
        pixels, label = random.choice(DIGITS), random.randrange(10)
        coded = stuff(pixels) if number % 3 else random.randbytes(random.randint(1, 9))
        begin, crc = model.end, image_crc(index, label, pixels)
        assert model.store(index, label, crc, coded) is ImageStatus.OK
        lying = sealed(label, crc, coded)
        words = [int.from_bytes(lying[n : n + 2], "little") for n in range(0, len(lying), 2)]
        memory.accesses.clear()
        giving = cocotb.start_soon(data.put(words, stall=stall))
        await record.put([Record.const({"index": index, "words": len(words)}).as_bits()])
        await giving
        await port.edge
        assert (port.count.value, port.end.value) == (model.count, model.end)
        assert memory.words == model.words, f"record {number}"
        done = [at + n for _, at, length in memory.accesses for n in range(length)]
        assert done == [*range(begin, model.end), *range(ENTRY_WORDS * index, ENTRY_WORDS * (index + 1))]
        if number == 15:
            await pulse(port.forget, port.edge)
            model.reset()
            await wait_for(dut, f"{NAME}__count", 0, patience=3)
            assert port.end.value == model.end
