# amaranth: UnusedElaboratable=no
"""The store on a simulated chip equals its model: records, images and digests, also after damage."""

import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.boards.virtual.sdram import Sdram
from nudge.golden.contract import stored
from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.stored import (
    CAPACITY,
    MAX_CODED,
    MAX_MOVE,
    MAX_SAMPLES,
    WORD_BYTES,
    Asked,
    Header,
    ImageStatus,
    image_crc,
)
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import ImageStore as Model
from nudge.hw.memory.image_store import ImageStore
from nudge.hw.memory.interface import ADDRESS_BITS, Access, Move, Port, Range, Record
from nudge.hw.memory.memory import Memory
from sim.harness import streams
from sim.harness.streams import StreamSink, StreamSource, start, wait_for

from .chip import watch
from .images import DIGITS
from .unit import CYCLES

NAME = "image_store"

#: Size of an entry of the table.
ENTRY_BYTES = stored.ENTRY_WORDS * WORD_BYTES

#: Number of records of a long digest.
MANY = 300


class StoreAndChip(wiring.Component):
    """`ImageStore` with its memory. While ``past`` is high, ``raw`` accesses the memory instead."""

    #: Mutants don't change the switch.
    hardware = False

    def __init__(self):
        self.store = ImageStore()
        members = {name: member for name, member in self.store.signature.members.items() if name != "port"}
        outputs = {"works": Out(1), "broken": Out(4), "cycle": Out(32), "bank": Out(2)}
        super().__init__(members | outputs | {"raw": In(Port()), "past": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = self.store
        m.submodules.memory = memory = Memory(CYCLES)
        m.submodules.chip = chip = Sdram(CYCLES, way=3)
        connect(m, memory.pins, chip.pins)
        with m.If(self.past):
            connect(m, flipped(self.raw), memory.port)
        with m.Else():
            connect(m, store.port, memory.port)
        for name in ("record", "data", "move", "range"):
            connect(m, flipped(getattr(self, name)), getattr(store, name))
        connect(m, store.found, flipped(self.found))
        m.d.comb += [
            store.forget.eq(self.forget),
            store.address.eq(self.address),
            self.works.eq(memory.works),
        ]
        for name in ("count", "end", "pixel", "digest"):
            m.d.comb += getattr(self, name).eq(getattr(store, name))
        for name in ("broken", "cycle", "bank"):
            m.d.comb += getattr(self, name).eq(getattr(chip, name))
        return m


UNITS = {NAME: StoreAndChip()}


class Store:
    """The unit and its model, on which all operations are done together."""

    def __init__(self, dut):
        self.model, self.port = Model(CAPACITY), streams.Port(dut, NAME)
        names = ("record", "data", "move", "range", "raw__access", "raw__write")
        self.sources = {name: StreamSource(dut, f"{NAME}__{name}") for name in names}
        self.found = StreamSink(dut, f"{NAME}__found")
        #: Ranges of words that `clear_unknown` has copied to the chip.
        self.cleared: set[tuple[int, int]] = set()

    async def store(self, index: int, label: int, crc: int, coded: bytes, stall: float = 0.0) -> None:
        """Store a record in unit and model; the model must accept it."""
        assert self.model.store(index, label, crc, coded) is ImageStatus.OK
        data = Header(len(coded), label, 0, crc).encode() + coded + bytes(len(coded) % 2)
        record = Record.const({"index": index, "words": len(data) // 2}).as_bits()
        storing = cocotb.start_soon(self.sources["record"].put([record]))
        words = [int.from_bytes(data[n : n + 2], "little") for n in range(0, len(data), 2)]
        await self.sources["data"].put(words, stall=stall)
        await storing
        await self.port.edge
        assert (self.port.count.value, self.port.end.value) == (self.model.count, self.model.end)

    async def store_digit(self, index: int, digit: int, stall: float = 0.0) -> None:
        pixels, label = DIGITS[digit], digit % 10
        await self.store(index, label, image_crc(index, label, pixels), stuff(pixels), stall)

    async def flip(self, word: int, bit: int) -> None:
        """Flip a bit of a word in model and chip."""
        self.model.flip(word, bit)
        await self.copy(word, 1)

    async def copy(self, word: int, count: int) -> None:
        """Copy words from the model's memory to the chip."""
        self.port.past.value = 1
        for at in range(word, word + count):
            value = int.from_bytes(self.model.words[WORD_BYTES * at : WORD_BYTES * (at + 1)], "little")
            await self.sources["raw__write"].put([value])
            await self.sources["raw__access"].put(
                [Access.const({"write": 1, "address": at, "length": 1}).as_bits()]
            )
        self.port.past.value = 0
        await self.port.edge

    async def clear_unknown(self, count: int) -> None:
        """Copy the never written words that a read of the first `count` records may reach: the chip has noise
        there, the model zeros."""
        for index in range(count):
            entry = self.model.words[ENTRY_BYTES * index : ENTRY_BYTES * (index + 1)]
            at = int.from_bytes(entry, "little") % (1 << ADDRESS_BITS)
            begin = max(at, self.model.end) if at >= stored.LOG_AT else at
            end = min(at + stored.MAX_RECORD_WORDS, 1 << ADDRESS_BITS)
            if (begin, end) not in self.cleared:
                await self.copy(begin, end - begin)
                self.cleared.add((begin, end))

    async def put(self, index: int, digit: int, word: int) -> None:
        """Write a digit and its table entry into the memory, as if many had been stored before."""
        pixels, label = DIGITS[digit], digit % 10
        data = stored.sealed(label, image_crc(index, label, pixels), stuff(pixels))
        self.model.count = max(self.model.count, index + 1)
        self.model.write(word, data)
        await self.copy(word, len(data) // WORD_BYTES)
        self.model.write(stored.ENTRY_WORDS * index, word.to_bytes(ENTRY_BYTES, "little"))
        await self.copy(stored.ENTRY_WORDS * index, stored.ENTRY_WORDS)

    async def ask(self, asked: list[Asked]) -> None:
        fields = [{"index": a.index, "mirrored": a.mirrored, "dy": a.dy, "dx": a.dx} for a in asked]
        await self.sources["move"].put([Move.const(one).as_bits() for one in fields])

    async def take(self, asked: Asked, stall: float) -> None:
        """Check that the oldest image is the one that the model fetches, and take it."""
        waited = 0
        while not self.found.valid.value or random.random() < stall:
            await self.port.edge
            waited += 1
            assert waited < 10_000
        found = int(self.found.payload.value)
        status, label = ImageStatus(found & 7), found >> 3
        expected = self.model.fetch(asked)
        assert status is expected[0], f"{asked}: {status!r}, expected {expected[0]!r}"
        if status is ImageStatus.OK:
            assert label == expected[1]
            pixels = bytearray()
            for n in range(PIXELS + 1):
                self.port.address.value = min(n, PIXELS - 1)
                await self.port.edge
                if n:
                    pixels.append(int(self.port.pixel.value))
            assert bytes(pixels) == expected[2], asked
        self.found.ready.value = 1
        await self.port.edge
        self.found.ready.value = 0
        await self.port.edge

    async def fetch(self, asked: list[Asked], stall: float = 0.0) -> None:
        asking = cocotb.start_soon(self.ask(asked))
        for one in asked:
            await self.take(one, stall)
        await asking

    async def digest(self, first: int, count: int) -> None:
        self.port.range__payload.value = Range.const({"first": first, "count": count}).as_bits()
        self.port.range__valid.value = 1
        await wait_for(self.port._dut, f"{NAME}__range__ready")
        assert int(self.port.digest.value) == self.model.digest(first, count)
        self.port.range__valid.value = 0
        await self.port.edge


async def filled(dut, count: int) -> Store:
    await start(dut)
    watch(dut, NAME)
    await wait_for(dut, f"{NAME}__works")
    store = Store(dut)
    for index in range(count):
        await store.store_digit(index, index, stall=0.3 * (index % 2))
    return store


def moves(count: int, indices: int) -> list[Asked]:
    def move() -> int:
        return random.randint(-MAX_MOVE, MAX_MOVE)

    return [Asked(random.randrange(indices), move(), move(), random.random() < 0.5) for _ in range(count)]


@cocotb.test()
async def images_come_back(dut):
    store = await filled(dut, 10)
    await store.digest(0, 10)
    await store.digest(3, 1)
    await store.fetch([Asked(n) for n in range(10)])
    await store.fetch(moves(12, 10), stall=0.01)
    await store.digest(2, 7)


@cocotb.test()
async def records_lie_anywhere(dut):
    """Records at any index and address are read; each of their bits is high in one record, low in another."""
    store = await filled(dut, 1)
    places = [0x555555, 0xAAAAAA, 0xF0F0F0, (1 << ADDRESS_BITS) - 2000]
    indices = [0x5555, 0xAAAA, random.randrange(MAX_SAMPLES - 1), MAX_SAMPLES - 1]
    for digit, (index, place) in enumerate(zip(indices, places, strict=True)):
        await store.put(index, digit, place)
    for index in indices:
        await store.digest(index, 1)
    await store.fetch([Asked(index) for index in indices])


@cocotb.test()
async def a_digest_of_many(dut):
    """The digest of many records is the model's; all have the same entry, of a record with one byte."""
    store = await filled(dut, 0)
    await store.store(0, 1, 2, b"\1")
    entry = bytes(store.model.words[:ENTRY_BYTES])
    store.model.write(0, entry * MANY)
    store.model.count = MANY
    await store.copy(0, stored.ENTRY_WORDS * MANY)
    await store.digest(0, MANY)


@cocotb.test()
async def a_move_waits_for_a_digest(dut):
    store = await filled(dut, 4)
    asking = cocotb.start_soon(store.fetch([Asked(2), Asked(1)]))
    await store.digest(0, 4)
    await asking


@cocotb.test()
async def records_are_stored_beside_fetched_images(dut):
    store = await filled(dut, 4)
    asked = moves(4, 4)
    fetching = cocotb.start_soon(store.fetch(asked))
    for index in range(4, 7):
        await store.store_digit(index, index)
    await fetching
    await store.fetch([Asked(n) for n in range(7)])
    store.port.forget.value = 1
    await store.port.edge
    store.port.forget.value = 0
    await store.port.edge
    store.model.reset()
    await store.store_digit(0, 9)
    await store.fetch([Asked(0)])
    assert store.port.count.value == 1


@cocotb.test()
async def bad_images(dut):
    """Each kind of damage has its status, and doesn't affect the next image."""
    store = await filled(dut, 2)
    good = stuff(DIGITS[0])
    bad = [
        good[:-1],
        good + b"\5abcd",
        stuff(bytes(PIXELS + 1)),
        b"\1",
        stuff(b"\1" * (PIXELS + 9))[:MAX_CODED],
        b"\xff" * MAX_CODED,
    ]
    for coded in bad:
        await store.store(store.model.count, 3, 0, coded)
    await store.store(store.model.count, 3, 1234, good)
    # the header's length: 0, above its maximum, all bits set
    for value in (0, MAX_CODED + 1, 0xFFFF):
        index, at = store.model.count, store.model.end
        await store.store_digit(index, 5)
        for bit in range(16):
            if (len(stuff(DIGITS[5])) ^ value) >> bit & 1:
                await store.flip(at, bit)
    count = store.model.count
    found = {store.model.fetch(Asked(n))[0] for n in range(count)}
    assert found == {ImageStatus.OK, *stored.DAMAGED}
    await store.fetch([Asked(n) for n in range(count)] + moves(5, count))
    await store.digest(0, count)
    await store.store_digit(3, 3)
    await store.fetch([Asked(3)])


@cocotb.test()
async def flipped_bits(dut):
    store = await filled(dut, 3)
    last = store.model.end
    entries, log = range(stored.ENTRY_WORDS * 3), range(stored.LOG_AT, last)
    for number in range(40):
        word, bit = random.choice(log if number % 8 else entries), random.randrange(16)
        await store.flip(word, bit)
        await store.clear_unknown(3)
        await store.fetch([Asked(n, 1, -2, True) for n in range(3)])
        await store.digest(0, 3)
        await store.flip(word, bit)
