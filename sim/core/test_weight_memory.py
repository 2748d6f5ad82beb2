# amaranth: UnusedElaboratable=no
"""Weight memories against golden: host access, whole batches of updates, commits."""

import itertools
import random

import cocotb
import torch

from golden.model import ops
from hw.core.interface import bias_word
from hw.core.weight_memory import WeightMemory
from hw.update.interface import update_word
from sim.harness.networks import bundle_of
from sim.harness.random_values import generator, integers
from sim.harness.streams import FlowSource, Monitor, Port, start
from sim.harness.units import each, expect, run_part
from sim.harness.words import master_image, packed, tile_words, unpacked

UNITS = {
    "weights_dense": WeightMemory(*bundle_of("dense", (2, 2, 1), 6, lanes=(2, 3))),
    "weights_conv": WeightMemory(*bundle_of("conv", (2, 5, 5), 2, kernel=2, lanes=(1, 2))),
    "weights_image": WeightMemory(*bundle_of("image", (1, 6, 6), 3, kernel=2)),
    "weights_one": WeightMemory(*bundle_of("dense", (1, 1, 1), 2, lanes=(1, 2))),
    "weights_wide": WeightMemory(*bundle_of("dense", (4, 1, 1), 2, lanes=(4, 1))),
}


@cocotb.test()
async def memories_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    f, bundle = unit.config.spec.formats, unit.bundle
    memory = Driver(dut, name, unit)
    low, high = f.master_low, f.master_high
    half = 1 << (f.master_fraction - f.weight_fraction - 1)
    # around the ends, and where rounding turns
    near = [low, low + 1, low + half - 1, low + half, -half - 1, -half, -half + 1, 0]
    near += [half - 1, half, high - half, high - half + 1, high - 1, high]
    for batch in range(6):
        weight, bias = (integers(low, high, shape) for shape in (bundle.weight_shape, (bundle.post.channels,)))
        if batch == 0:
            weight, bias = (torch.from_numpy(generator().choice(near, x.shape)) for x in (weight, bias))
        await memory.write(weight, bias)
        expect(f"{name}, batch {batch}, written", await memory.read(), master_image(unit.config, bundle, weight, bias))
        weight, bias = await memory.commit(batch, weight, bias)
        # to the limit of the 18-bit master and back, then at random; from where the commit left it
        for sign in random.choice(((1, -1), (-1, 1), (0, 0), (0,))):
            for _ in range(f.max_batch if sign else 5):
                bounds = (sign * f.update_bound,) * 2 if sign else (-f.update_bound, f.update_bound)
                changes = [integers(*bounds, x.shape) for x in (weight, bias)]
                await memory.update(*changes)
                weight, bias = weight + changes[0], bias + changes[1]
            weight, bias = await memory.commit(batch, weight, bias)


class Driver:
    """All sides of one memory."""

    def __init__(self, dut, name, unit):
        self.name, self.unit, self.config, self.bundle = name, unit, unit.config, unit.bundle
        self.formats, self.lanes = unit.config.spec.formats, unit.config.lanes[unit.bundle.index]
        self.port = Port(dut, name)
        self.updates = FlowSource(dut, f"{name}__updates")
        self.biases = Monitor(dut, f"{name}__bias")

    async def write(self, *parameters):
        """All masters, and means, by the host."""
        await self.write_image(master_image(self.config, self.bundle, *parameters))

    async def write_image(self, rows):
        """The same as words of lanes, in any order."""
        image = packed(rows, self.formats.committed_bits)
        for address in random.sample(range(len(image)), len(image)):
            self.port.address.value, self.port.write_data.value, self.port.write.value = address, image[address], 1
            await self.port.edge
            while random.random() < 0.2:
                self.port.write.value = 0
                self.port.write_data.value = random.getrandbits(len(self.port.write_data))
                await self.port.edge
        self.port.write.value = 0

    async def read(self):
        """All masters, one address a cycle; data belong to the address of two cycles before."""
        rows = []
        for address in range(self.unit.depth + 2):
            self.port.address.value = min(address, self.unit.depth - 1)
            await self.port.edge
            rows.append(int(self.port.read_data.value))
        # the first address is sampled by the memory at the first edge, and seen at the third
        return unpacked(rows[2:], self.formats.committed_bits, self.lanes)

    async def update(self, weight, bias):
        """One sample's updates, in any order."""
        shape = update_word(self.config, self.bundle)
        rows = master_image(self.config, self.bundle, weight, bias).tolist()
        words = [shape.const({"address": n, "update": row}).as_bits() for n, row in enumerate(rows)]
        random.shuffle(words)
        await self.updates.send(words, gap=random.choice((0.0, 0.2)))
        # an address may come again three cycles later
        for _ in range(2):
            await self.port.edge

    async def commit(self, batch, weight, bias):
        """Commits and compares masters and both kinds of working copies; the masters after it."""
        f, where = self.formats, f"{self.name}, batch {batch}"
        parameters = ops.commit(weight, f), ops.commit(bias, f)
        await self.compare(where, parameters, self.unit.words + 3)
        return parameters

    async def compare(self, where, parameters, cycles):
        """A commit takes so many cycles, and leaves these masters, means if there are some, and their working copies."""
        f, config, bundle, (weight, bias) = self.formats, self.config, self.bundle, parameters[:2]
        seen = len(self.biases.words)
        busy = await run_part(self.port, self.port.commit)
        assert busy == cycles, f"{where}: busy for {busy} cycles, expected {cycles}"
        expect(f"{where}, master", await self.read(), master_image(config, bundle, *parameters))

        shape = bias_word(config, bundle.post)
        words = [shape.from_bits(bits) for bits in self.biases.words[seen:]]
        expect(f"{where}, bias address", [w.address for w in words], range(config.groups(bundle.post)), ("word",))
        working = ops.working_bias(bias, f).reshape(-1, self.lanes)
        expect(f"{where}, working bias", [list(w.bias) for w in words], working)

        # tiles in any order, one a cycle; data belong to the address of the cycle before
        tiles = tile_words(config, bundle, ops.working_weight(weight, f))
        addresses, got = random.sample(range(len(tiles)), len(tiles)), {}
        for before, address in itertools.pairwise([None, *addresses, 0]):
            self.port.tile_address.value = address
            await self.port.edge
            got[before] = int(self.port.tile.value)
        lanes = self.lanes * config.lanes[bundle.pre.index]
        rows = (unpacked(words, f.weight_bits, lanes) for words in ([got[n] for n in range(len(tiles))], tiles))
        expect(f"{where}, working weight", *rows, ("tile", "lane"))
