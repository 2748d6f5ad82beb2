# amaranth: UnusedElaboratable=no
"""The kernel loader against the layout of the working memory: all tiles, in random order."""

import random

import cocotb

from nudge.golden.contract import layout
from nudge.hw.synapse.kernel_loader import KernelLoader
from sim.harness.networks import bundle_of
from sim.harness.random_values import integers
from sim.harness.streams import Port, serve_memory, start, unpack
from sim.harness.units import each, expect, run_part
from sim.harness.words import master_image, tile_words, unpacked

UNITS = {
    "loader_one": KernelLoader(*bundle_of("conv", (1, 4, 4), 1, kernel=2)),
    "loader_lanes": KernelLoader(*bundle_of("conv", (4, 5, 5), 6, kernel=3, lanes=(2, 3))),
    "loader_image": KernelLoader(*bundle_of("image", (1, 6, 6), 4, kernel=3, lanes=(1, 2))),
}

#: Number of sets of weights: enough for each pair of register bits to take all four combinations.
DRAWS = 8


@cocotb.test()
async def kernels_equal_layout(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    f, lanes = config.spec.formats, config.lanes[bundle.index] * config.lanes[bundle.index - 1]
    memory: list[int] = []
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", memory)
    for _ in range(DRAWS):
        w = integers(f.weight_low, f.weight_high, bundle.weight_shape)
        memory[:] = tile_words(config, bundle, w)
        tiles = master_image(config, bundle, w)[: layout.weight_words(config, bundle)].reshape(
            -1, unit.count, lanes
        )
        for tile in random.sample(range(len(tiles)), len(tiles)):
            port.base.value = tile * unit.count
            busy = await run_part(port)
            assert busy == unit.count + 1, f"{name}: busy for {busy} cycles, expected {unit.count + 1}"
            taps = unpack(int(port.taps.value), f.weight_bits * lanes, unit.count, signed=False)
            got = unpacked(taps, f.weight_bits, lanes)
            expect(f"{name}, tile {tile}", got, tiles[tile], ("tap", "lane"))
