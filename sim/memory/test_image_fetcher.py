# amaranth: UnusedElaboratable=no
"""The image fetcher, with a reader in Python, returns moved and checked images, and the status of damaged
ones; it fetches two in advance."""

import random

import cocotb

from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.stored import (
    DAMAGED,
    MAX_CODED,
    MAX_MOVE,
    MAX_SAMPLES,
    Asked,
    Header,
    ImageStatus,
    image_crc,
)
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.image_store import judged, moved
from nudge.hw.memory.image_fetcher import BANKS, ImageFetcher
from nudge.hw.memory.interface import Move
from sim.harness.streams import Port, StreamSource, start

from .images import DIGITS
from .test_unstuffer import as_words

NAME = "image_fetcher"
UNITS = {NAME: ImageFetcher()}


def records(count: int) -> list[tuple[Asked, Header, bytes]]:
    """Return requests with header and coded image of their records; every third record is damaged."""
    made = []
    for number in range(count):
        index, label, pixels = random.randrange(MAX_SAMPLES), random.randrange(10), random.choice(DIGITS)
        dy, dx = (random.randint(-MAX_MOVE, MAX_MOVE) for _ in range(2))
        coded, crc, length = stuff(pixels), image_crc(index, label, pixels), None
        match number % 18:
            case 2:
                crc ^= 1 << random.randrange(32)
            case 5:
                coded = coded[:-1]
            case 8:
                coded = stuff(pixels + b"\1")
            case 11:
                length = 0
            case 14:
                length = MAX_CODED + 1
            case 17:
                crc = image_crc(index ^ 1 << random.randrange(17), label, pixels)
        header = Header(len(coded) if length is None else length, label, 0, crc)
        made.append((Asked(index, dy, dx, random.random() < 0.5), header, coded))
    return made


async def play_reader(dut, lying: list[tuple[Asked, Header, bytes]], stall: float) -> None:
    """Play the reader: send header and words of each record, which must be requested in this order."""
    port, source = Port(dut, NAME), StreamSource(dut, f"{NAME}__coded")
    for asked, header, coded in lying:
        # ready is high before valid, or only after it
        late = random.random() < 0.5
        port.index__ready.value = int(not late)
        await port.edge
        while not port.index__valid.value:
            await port.edge
        for _ in range(random.randrange(4) if late else 0):
            await port.edge
            assert port.index__valid.value, "no longer asked"
        assert port.index__payload.value == asked.index
        if late:
            port.index__ready.value = 1
            await port.edge
        port.index__ready.value = 0
        for _ in range(random.randint(0, 5)):
            port.header.value = random.getrandbits(8 * Header.size())
            await port.edge
        port.header.value = int.from_bytes(header.encode(), "little")
        follow = 0 < header.coded <= MAX_CODED
        port.known.value, port.follow.value = 1, int(follow)
        await port.edge
        port.known.value = 0
        if follow:
            await source.put(as_words(coded), stall=stall)


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3])
async def images_equal_the_models(dut, stall):
    await start(dut)
    lying = records(36)
    fields = [{"index": a.index, "mirrored": a.mirrored, "dy": a.dy, "dx": a.dx} for a, _, _ in lying]
    moves = [Move.const(one).as_bits() for one in fields]
    cocotb.start_soon(StreamSource(dut, f"{NAME}__move").put(moves, stall=stall))
    cocotb.start_soon(play_reader(dut, lying, stall))
    port, kinds = Port(dut, NAME), set()
    for number, (asked, header, coded) in enumerate(lying):
        waited = 0
        while not port.found__valid.value or random.random() < stall / 10:
            await port.edge
            waited += 1
            assert waited < 10_000, f"image {number} isn't found"
        wanted, pixels = judged(asked.index, header, coded[: header.coded])
        if not header.coded:
            wanted = ImageStatus.TRUNCATED
        found = int(port.found__payload.value)
        assert ImageStatus(found & 7) is wanted, f"image {number}"
        kinds.add(wanted)
        if wanted is ImageStatus.OK:
            assert found >> 3 == header.label
            shown = bytearray()
            for n in range(PIXELS + 1):
                port.address.value = min(n, PIXELS - 1)
                await port.edge
                if n:
                    shown.append(int(port.pixel.value))
            assert bytes(shown) == moved(pixels, asked.dy, asked.dx, asked.mirrored), f"image {number}"
        port.found__ready.value = 1
        await port.edge
        port.found__ready.value = 0
        await port.edge
    assert kinds == {ImageStatus.OK, *DAMAGED}


@cocotb.test()
async def two_are_kept_and_no_third_is_asked_for(dut):
    await start(dut)
    lying = [
        one for one in records(18) if one[2] and judged(one[0].index, one[1], one[2])[0] is ImageStatus.OK
    ][: BANKS + 1]
    port = Port(dut, NAME)
    moves = [Move.const({"index": a.index, "mirrored": 0, "dy": 0, "dx": 0}).as_bits() for a, _, _ in lying]
    giving = cocotb.start_soon(StreamSource(dut, f"{NAME}__move").put(moves))
    reading = cocotb.start_soon(play_reader(dut, lying, 0))
    for _ in range(BANKS * 2 * PIXELS):
        await port.edge
    assert port.found__valid.value
    assert not giving.done()
    assert not port.index__valid.value
    port.found__ready.value = 1
    await port.edge
    port.found__ready.value = 0
    await reading
    await giving
