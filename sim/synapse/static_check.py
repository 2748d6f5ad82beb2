"""Compare engines on the image with the golden model: images are replayed while the next one is processed."""

import random

import cocotb
import numpy as np
import torch

from nudge.golden.model import ops
from nudge.hw.synapse.interface import static_banks
from sim.harness.random_values import integers
from sim.harness.streams import Port, StreamSink, serve_memory
from sim.harness.units import expect, pulse, run_part
from sim.harness.words import layer_words, tile_words, unpacked

#: Cycles from `replay` to the first word.
FIRST_WORD = 2

#: Number of random images: drives are rounded, so the low bits of a product affect only a few of them.
IMAGES = 48


async def check(dut, name, unit, least: int, most: int):
    """Process images that reach the bounds, and random ones; each takes `least` to `most` cycles."""
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    f, pre, post = config.spec.formats, bundle.pre, bundle.post
    sink = StreamSink(dut, f"{name}__forward")
    pixels: list[int] = []
    tiles: list[int] = []
    serve_memory(dut, f"{name}__pixel_address", f"{name}__pixel", pixels)
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    top = (1 << f.pixel_bits) - 1
    cases = [
        (torch.full(bundle.weight_shape, w), torch.full((1, *pre.shape), top))
        for w in (f.weight_low, f.weight_high)
    ]
    cases += [
        (integers(f.weight_low, f.weight_high, bundle.weight_shape), integers(0, top, (1, *pre.shape)))
        for _ in range(IMAGES)
    ]
    kept: dict[int, np.ndarray] = {}
    banks = static_banks(config)
    for number, (w, image) in enumerate(cases):
        # any bank may be selected while the engine is idle: it writes nothing
        port.write_bank.value = random.randrange(banks)
        for _ in range(random.randrange(4)):
            await port.edge
        bank = number % banks
        port.write_bank.value = bank
        replay = cocotb.start_soon(replays(dut, name, unit, sink, kept, bank))
        tiles[:], pixels[:] = tile_words(config, bundle, w), image.flatten().tolist()
        busy = await run_part(port)
        assert least <= busy <= most, (
            f"{name}, image {number}: busy for {busy} cycles, expected {least}..{most}"
        )
        await replay
        kept[bank] = layer_words(config, post, ops.static_drive(image, w, config.spec)[0])


async def replays(dut, name, unit, sink, kept, written):
    """Replay and compare kept banks several times in random order, except the bank `written`."""
    config, post, port = unit.config, unit.bundle.post, Port(dut, name)
    for bank in random.choices([bank for bank in kept if bank != written] or [None], k=3):
        if bank is None:
            return
        expected = kept[bank]
        port.read_bank.value = bank
        await pulse(port.replay, port.edge)
        for _ in range(FIRST_WORD):
            await port.edge
        assert sink.valid.value, f"{name}, bank {bank}: no word, or it waits for ready"
        read = cocotb.start_soon(sink.get(len(expected), stall=random.choice((0.0, 0.4))))
        got = unpacked(await read, post.phi_bits, config.lanes[post.index])
        expect(f"{name}, bank {bank}", got, expected)
        await port.edge
        assert not sink.valid.value, f"{name}, bank {bank}: more words than the layer has"
