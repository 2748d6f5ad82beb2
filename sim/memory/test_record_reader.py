# amaranth: UnusedElaboratable=no
"""The record reader reads entry, header and coded image of each record, for any contents of the memory."""

import random

import cocotb

from nudge.golden.contract.stored import (
    CAPACITY,
    ENTRY_WORDS,
    HEADER_WORDS,
    LOG_AT,
    MAX_CODED,
    MAX_RECORD_WORDS,
    MAX_SAMPLES,
    WORD_BYTES,
    Header,
    ImageStatus,
    record_words,
)
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import ImageStore
from nudge.hw.memory.record_reader import RecordReader
from sim.harness.streams import Monitor, Port, StreamSink, StreamSource, start

from .images import DIGITS
from .served import Served

NAME = "record_reader"
UNITS = {NAME: RecordReader()}

#: Bits of the length in a record's header.
LENGTH_BITS = 16


def memory_of_records(indices: list[int]) -> ImageStore:
    """Return a model with long and short records at random addresses, some with a wrong length."""
    model = ImageStore(CAPACITY)
    model.count = MAX_SAMPLES
    for number, index in enumerate(indices):
        model.end = random.randrange(LOG_AT, CAPACITY // WORD_BYTES - MAX_RECORD_WORDS)
        coded = (
            stuff(DIGITS[number]) if number % 3 else random.randbytes(random.choice((1, 2, 3, 31, 32, 33)))
        )
        begin = model.end
        assert model.store(index, number % 10, random.getrandbits(32), coded) is ImageStatus.OK
        wanted = {5: 0, 6: MAX_CODED, 7: MAX_CODED + 1, 8: 0xFFFF, 9: 1}.get(number, len(coded))
        for bit in range(LENGTH_BITS):
            if (len(coded) ^ wanted) >> bit & 1:
                model.flip(begin, bit)
    # two entries with a flipped address bit: an address beyond the memory's end wraps, another one leads to
    # other words
    for index in indices[11:13]:
        model.flip(ENTRY_WORDS * index + random.randrange(2), random.randrange(16))
    return model


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.5])
async def records_are_read_as_they_lie(dut, stall):
    await start(dut)
    # each bit of an index is high in one of them, and low in another
    indices = [
        0x5555,
        0xAAAA,
        *random.sample(range(0x10000, MAX_SAMPLES), 2),
        *random.sample(range(0x5555), 10),
    ]
    model = memory_of_records(indices)
    memory = Served(dut, f"{NAME}__access", read=f"{NAME}__read", words=model.words, stall=stall)
    port, seen = Port(dut, NAME), Monitor(dut, f"{NAME}__seen")
    index, coded = StreamSource(dut, f"{NAME}__index"), StreamSink(dut, f"{NAME}__coded")
    for number in [*indices, *random.choices(indices, k=6)]:
        at = memory.read(ENTRY_WORDS * number) | memory.read(ENTRY_WORDS * number + 1) << 16
        lying = [memory.read(at + n) for n in range(HEADER_WORDS)]
        header = Header.decode(b"".join(word.to_bytes(WORD_BYTES, "little") for word in lying))
        follow = 0 < header.coded <= MAX_CODED
        image = (
            [memory.read(at + n) for n in range(HEADER_WORDS, record_words(header.coded))] if follow else []
        )
        seen.words.clear()
        asking = cocotb.start_soon(index.put([number]))
        while not port.known.value:
            assert not port.coded__valid.value, "a word of the image before the header"
            await port.edge
        assert int(port.header.value).to_bytes(Header.size(), "little") == header.encode()
        assert bool(port.follow.value) == follow
        assert await coded.get(len(image), stall=stall) == image
        await asking
        for _ in range(6):
            await port.edge
            assert not port.known.value, "known twice"
            assert not port.coded__valid.value, "more words than there are"
        assert seen.words == [*lying, *image]
        assert port.index__ready.value
