# amaranth: UnusedElaboratable=no
"""The unstuffer equals the codec, for good images and bad code, and with words that come late."""

import random

import cocotb

from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.stored import MAX_CODED, ImageStatus
from nudge.golden.contract.stuffing import stuff, unstuff_partly
from nudge.hw.memory.unstuffer import Unstuffer
from sim.harness.streams import Monitor, Port, StreamSource, start
from sim.harness.units import pulse

from .images import DIGITS

UNITS = {"unstuffer": Unstuffer()}


def code() -> bytes:
    """Return a random coded image, good or damaged."""
    kind = random.randrange(8)
    if kind < 3:
        return stuff(random.choice(DIGITS))
    if kind == 3:
        return stuff(bytes(random.choice((0, 0, 1, 255)) for _ in range(PIXELS + random.randint(-3, 3))))[
            :MAX_CODED
        ]
    if kind == 4:
        return stuff(random.randbytes(PIXELS))[:MAX_CODED]
    if kind == 5:
        return stuff(random.choice(DIGITS))[: -random.randint(1, 20)]
    if kind == 6:
        return random.randbytes(random.randint(1, 300))
    return random.choice(
        (b"\xff" * MAX_CODED, b"\0" * MAX_CODED, b"\1" * PIXELS, b"\1", stuff(bytes(PIXELS)))
    )


def expected(coded: bytes) -> tuple[ImageStatus, bytes]:
    """Return the codec's status and its pixels, at most `PIXELS`."""
    pixels, cut = unstuff_partly(coded)
    if len(pixels) > PIXELS:
        return ImageStatus.TOO_LONG, pixels[:PIXELS]
    return (ImageStatus.TRUNCATED if cut or len(pixels) < PIXELS else ImageStatus.OK), pixels


def as_words(coded: bytes) -> list[int]:
    """Return the bytes as words of 16 bits; an odd number of bytes is padded with a random one."""
    padded = coded + random.randbytes(len(coded) % 2)
    return [int.from_bytes(padded[n : n + 2], "little") for n in range(0, len(padded), 2)]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def images_and_damage(dut, stall):
    await start(dut)
    port, source, pixels = (
        Port(dut, "unstuffer"),
        StreamSource(dut, "unstuffer__coded"),
        Monitor(dut, "unstuffer__pixel"),
    )
    for _ in range(60):
        coded = code()
        pixels.words.clear()
        port.length.value = len(coded)
        await pulse(port.start, port.edge)
        port.length.value = random.randint(1, MAX_CODED)
        feeding = cocotb.start_soon(source.put(as_words(coded), stall=stall))
        cycles = 0
        while True:
            await port.edge
            cycles += 1
            if port.done.value:
                break
            assert cycles < 10_000
        status = ImageStatus(int(port.status.value))
        wanted, shown = expected(coded)
        assert status == wanted, f"{coded.hex()}: {status!r}, expected {wanted!r}"
        await port.edge
        assert bytes(pixels.words) == shown, coded.hex()
        # all words of this image are taken before the next
        await feeding
        assert not port.done.value, "done again"
        assert stall or status is not ImageStatus.OK or cycles <= PIXELS + len(coded) + 2
