# amaranth: UnusedElaboratable=no
"""Unstuffer and placer, one behind the other, against the codec and the model: good images, bad code, each move."""

import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.contract.messages import PIXELS
from golden.contract.stored import MAX_CODED, MAX_MOVE, ImageStatus
from golden.contract.stuffing import stuff, unstuff_partly
from golden.model.image_store import moved
from hw.memory.interface import PIXEL_ADDRESS, WORD_BITS, Move
from hw.memory.placer import Placer
from hw.memory.unstuffer import Unstuffer
from sim.harness.streams import Port, StreamSource, start

from .images import DIGITS


class Pixels(wiring.Component):
    """Coded words in, placed pixels out."""

    def __init__(self):
        outputs = {"done": Out(1), "status": Out(ImageStatus), "valid": Out(1), "address": Out(PIXEL_ADDRESS), "value": Out(8)}
        inputs = {"start": In(1), "length": In(range(MAX_CODED + 1)), "move": In(Move)}
        super().__init__(inputs | outputs | {"coded": In(stream.Signature(WORD_BITS))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unstuffer = unstuffer = Unstuffer()
        m.submodules.placer = placer = Placer()
        connect(m, flipped(self.coded), unstuffer.coded)
        m.d.comb += [
            unstuffer.start.eq(self.start),
            unstuffer.length.eq(self.length),
            self.done.eq(unstuffer.done),
            self.status.eq(unstuffer.status),
            placer.start.eq(self.start),
            placer.move.eq(self.move),
            placer.pixel.valid.eq(unstuffer.pixel.valid),
            placer.pixel.payload.eq(unstuffer.pixel.payload),
            *(getattr(self, name).eq(getattr(placer, name)) for name in ("valid", "address", "value")),
        ]
        return m


UNITS = {"pixels": Pixels()}


def code() -> bytes:
    """Coded images, most of them good."""
    kind = random.randrange(8)
    if kind < 3:
        return stuff(random.choice(DIGITS))
    if kind == 3:
        return stuff(bytes(random.choice((0, 0, 1, 255)) for _ in range(PIXELS + random.randint(-3, 3))))[:MAX_CODED]
    if kind == 4:
        return stuff(random.randbytes(PIXELS))[:MAX_CODED]
    if kind == 5:
        return stuff(random.choice(DIGITS))[: -random.randint(1, 20)]
    if kind == 6:
        return random.randbytes(random.randint(1, 300))
    return random.choice((b"\xff" * MAX_CODED, b"\0" * MAX_CODED, b"\1" * PIXELS, b"\1", stuff(bytes(PIXELS))))


def expected(coded: bytes) -> tuple[ImageStatus, bytes]:
    pixels, cut = unstuff_partly(coded)
    if len(pixels) > PIXELS:
        return ImageStatus.TOO_LONG, pixels[:PIXELS]
    return (ImageStatus.TRUNCATED if cut or len(pixels) < PIXELS else ImageStatus.OK), pixels


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.6])
async def images_and_damage(dut, stall):
    await start(dut)
    port, source = Port(dut, "pixels"), StreamSource(dut, "pixels__coded")
    for _ in range(60):
        coded, move = code(), [random.randint(-MAX_MOVE, MAX_MOVE) for _ in range(2)]
        mirrored = random.random() < 0.5
        port.move.value = Move.const({"index": 0, "mirrored": mirrored, "dy": move[0], "dx": move[1]}).as_bits()
        port.length.value = len(coded)
        port.start.value = 1
        await port.edge
        port.start.value = 0
        padded = coded + bytes(len(coded) % 2)
        words = [int.from_bytes(padded[n : n + 2], "little") for n in range(0, len(padded), 2)]
        feeding = cocotb.start_soon(source.put(words, stall=stall))
        image: dict[int, int] = {}
        status, cycles, after = None, 0, 0
        while after < 2:
            await port.edge
            cycles += 1
            after += status is not None
            if port.done.value:
                assert status is None
                status = ImageStatus(int(port.status.value))
            if port.valid.value:
                address = int(port.address.value)
                assert address not in image, f"{address} is written twice"
                image[address] = int(port.value.value)
            assert cycles < 10_000
        await feeding
        wanted, pixels = expected(coded)
        assert status == wanted, f"{coded.hex()}: {status!r}, expected {wanted!r}"
        assert len(image) == len(pixels)
        if status is ImageStatus.OK:
            assert bytes(image[n] for n in range(PIXELS)) == moved(pixels, *move, mirrored)
            assert stall or cycles <= PIXELS + len(coded) + 4
