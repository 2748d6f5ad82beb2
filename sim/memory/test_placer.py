# amaranth: UnusedElaboratable=no
"""The placer equals the model for every move, mirrored or not, and writes each address once."""

import random

import cocotb

from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.stored import MAX_MOVE
from nudge.golden.model.image_store import moved
from nudge.hw.memory.interface import Move
from nudge.hw.memory.placer import Placer
from sim.harness.streams import FlowSource, Port, start
from sim.harness.units import pulse

UNITS = {"placer": Placer()}

SIDE = range(-MAX_MOVE, MAX_MOVE + 1)


@cocotb.test()
async def each_move(dut):
    """Each move along one axis, with a random one along the other, gives the model's image."""
    await start(dut)
    port, source = Port(dut, "placer"), FlowSource(dut, "placer__pixel")
    moves = [(dy, random.choice(SIDE)) for dy in SIDE] + [(random.choice(SIDE), dx) for dx in SIDE]
    random.shuffle(moves)
    for number, (dy, dx) in enumerate(moves):
        mirrored, pixels = bool(number % 2), random.randbytes(PIXELS)
        port.move.value = Move.const({"index": 0, "mirrored": mirrored, "dy": dy, "dx": dx}).as_bits()
        await pulse(port.start, port.edge)
        sending = cocotb.start_soon(source.send(pixels, gap=0.2 * (number % 3)))
        image: dict[int, int] = {}
        while len(image) < PIXELS:
            await port.edge
            if port.valid.value:
                address = int(port.address.value)
                assert address not in image, f"{address} is written twice"
                image[address] = int(port.value.value)
        await sending
        assert bytes(image[n] for n in range(PIXELS)) == moved(pixels, dy, dx, mirrored), (dy, dx, mirrored)
        for _ in range(3):
            await port.edge
            assert not port.valid.value, "more pixels than came"


@cocotb.test()
async def a_pixel_takes_a_cycle(dut):
    await start(dut)
    port = Port(dut, "placer")
    await pulse(port.start, port.edge)
    port.pixel__valid.value = 1
    await port.edge
    assert not port.valid.value
    port.pixel__valid.value = 0
    await port.edge
    assert port.valid.value
    await port.edge
    assert not port.valid.value
