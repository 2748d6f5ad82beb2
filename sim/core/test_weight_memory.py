# amaranth: UnusedElaboratable=no
"""Weight memories against the golden model: host access, whole batches of updates, commits."""

import itertools
import random

import cocotb
import torch

from nudge.golden.contract import layout
from nudge.golden.model import ops
from nudge.hw.core.interface import bias_word
from nudge.hw.core.weights import Weights
from nudge.hw.update.interface import update_word
from sim.harness.networks import bundle_of
from sim.harness.random_values import generator, integers
from sim.harness.streams import FlowSource, Monitor, Port, start
from sim.harness.units import each, expect, run_part
from sim.harness.words import master_image, packed, tile_words, unpacked

UNITS = {
    "weights_dense": Weights(*bundle_of("dense", (2, 2, 1), 6, lanes=(2, 3))),
    "weights_conv": Weights(*bundle_of("conv", (2, 5, 5), 2, kernel=2, lanes=(1, 2))),
    "weights_image": Weights(*bundle_of("image", (1, 6, 6), 3, kernel=2)),
    "weights_one": Weights(*bundle_of("dense", (1, 1, 1), 2, lanes=(1, 2))),
    "weights_wide": Weights(*bundle_of("dense", (4, 1, 1), 2, lanes=(4, 1))),
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
    # values next to both bounds, and next to the rounding boundaries of the working copy
    near = [low, low + 1, low + half - 1, low + half, -half - 1, -half, -half + 1, 0]
    near += [half - 1, half, high - half, high - half + 1, high - 1, high]
    for batch in range(6):
        weight, bias = (
            integers(low, high, shape) for shape in (bundle.weight_shape, (bundle.post.channels,))
        )
        if batch == 0:
            weight, bias = (torch.from_numpy(generator().choice(near, x.shape)) for x in (weight, bias))
        await memory.write(weight, bias)
        expect(
            f"{name}, batch {batch}, written",
            await memory.read(),
            master_image(unit.config, bundle, weight, bias),
        )
        weight, bias = await memory.commit(batch, weight, bias)
        # a batch of updates to one limit of the 18-bit master, and one to the other, or random updates, from
        # the committed state
        for sign in random.choice(((1, -1), (-1, 1), (0, 0), (0,))):
            for _ in range(f.max_batch if sign else 5):
                bounds = (sign * f.update_bound,) * 2 if sign else (-f.update_bound, f.update_bound)
                changes = [integers(*bounds, x.shape) for x in (weight, bias)]
                await memory.update(*changes)
                weight, bias = weight + changes[0], bias + changes[1]
            weight, bias = await memory.commit(batch, weight, bias)


class Driver:
    """Drive all ports of one memory."""

    def __init__(self, dut, name, unit):
        self.name, self.unit, self.config, self.bundle = name, unit, unit.config, unit.bundle
        self.formats, self.lanes = unit.config.spec.formats, unit.config.lanes[unit.bundle.index]
        self.port = Port(dut, name)
        self.updates = FlowSource(dut, f"{name}__updates")
        self.biases = Monitor(dut, f"{name}__bias")

    async def write(self, *parameters):
        """Write all masters, and means if given, through the host's port."""
        await self.write_image(master_image(self.config, self.bundle, *parameters))

    async def write_image(self, rows):
        """Write an image of (words, lanes) through the host's port, in random order."""
        image = packed(rows, self.formats.committed_bits)
        for address in random.sample(range(len(image)), len(image)):
            self.port.address.value, self.port.write_data.value, self.port.write.value = (
                address,
                image[address],
                1,
            )
            await self.port.edge
            while random.random() < 0.2:
                self.port.write.value = 0
                self.port.write_data.value = random.getrandbits(len(self.port.write_data))
                await self.port.edge
        self.port.write.value = 0

    async def read(self):
        """Return all masters, read at one address per cycle; data follow their address by two cycles."""
        rows = []
        for address in range(self.unit.depth + 2):
            self.port.address.value = min(address, self.unit.depth - 1)
            await self.port.edge
            rows.append(int(self.port.read_data.value))
        # the memory samples the first address at the first edge; its data are visible at the third
        return unpacked(rows[2:], self.formats.committed_bits, self.lanes)

    async def update(self, weight, bias):
        """Send the updates of one sample, their words in random order."""
        shape = update_word(self.config, self.bundle)
        rows = master_image(self.config, self.bundle, weight, bias).tolist()
        words = [shape.const({"address": n, "update": row}).as_bits() for n, row in enumerate(rows)]
        random.shuffle(words)
        await self.updates.send(words, gap=random.choice((0.0, 0.2)))
        # the same address may return three cycles later at the earliest
        for _ in range(2):
            await self.port.edge

    async def commit(self, batch, weight, bias):
        """Commit, compare masters and both kinds of working copies, and return the committed masters."""
        f, where = self.formats, f"{self.name}, batch {batch}"
        parameters = ops.commit(weight, f), ops.commit(bias, f)
        await self.compare(where, parameters, layout.master_words(self.config, self.bundle) + 3)
        return parameters

    async def compare(self, where, parameters, cycles):
        """Commit; check its number of cycles, the resulting masters (and means), and their working copies."""
        f, config, bundle, (weight, bias) = self.formats, self.config, self.bundle, parameters[:2]
        seen = len(self.biases.words)
        busy = await run_part(self.port, self.port.commit)
        assert busy == cycles, f"{where}: busy for {busy} cycles, expected {cycles}"
        expect(f"{where}, master", await self.read(), master_image(config, bundle, *parameters))

        shape = bias_word(config, bundle.post)
        words = [shape.from_bits(bits) for bits in self.biases.words[seen:]]
        expect(
            f"{where}, bias address", [w.address for w in words], range(config.groups(bundle.post)), ("word",)
        )
        working = ops.working_bias(bias, f).reshape(-1, self.lanes)
        expect(f"{where}, working bias", [list(w.bias) for w in words], working)

        # tiles in random order, one per cycle; data follow their address by one cycle
        tiles = tile_words(config, bundle, ops.working_weight(weight, f))
        addresses, got = random.sample(range(len(tiles)), len(tiles)), {}
        for before, address in itertools.pairwise([None, *addresses, 0]):
            self.port.tile_address.value = address
            await self.port.edge
            got[before] = int(self.port.tile.value)
        lanes = self.lanes * config.lanes[bundle.pre.index]
        rows = (
            unpacked(words, f.weight_bits, lanes) for words in ([got[n] for n in range(len(tiles))], tiles)
        )
        expect(f"{where}, working weight", *rows, ("tile", "lane"))
