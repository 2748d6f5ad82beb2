# amaranth: UnusedElaboratable=no
"""Weight memories with centred commits against the golden model.

Covers batches after host writes, and extreme running means.
"""

import random

import cocotb
import torch
from cocotb.triggers import ValueChange

from nudge.golden.contract import layout
from nudge.golden.model import centring
from nudge.hw.core.centred_commit import commit_cycles
from nudge.hw.core.totals import total_bits
from nudge.hw.core.weights import Weights
from sim.harness.networks import bundle_of
from sim.harness.random_values import integers, various
from sim.harness.streams import start
from sim.harness.units import each, pulse
from sim.harness.words import master_image, packed

from .test_weight_memory import Driver


def memory(kind, pre, channels, **rest):
    """Return the weight memory of a bundle with centred commits."""
    return Weights(*bundle_of(kind, pre, channels, centred=True, **rest))


UNITS = {
    "centred_dense": memory("dense", (4, 2, 1), 6, lanes=(2, 3)),
    "centred_conv": memory("conv", (4, 5, 5), 2, kernel=2, lanes=(2, 1)),
    "centred_events": memory("conv", (2, 8, 8), 4, kernel=3, lanes=(1, 2), events=True),
    "centred_image": memory("image", (3, 6, 6), 4, kernel=2, lanes=(1, 2)),
    "centred_pixels": memory("pixels", (1, 3, 3), 4, lanes=(1, 4)),
    "centred_one": memory("dense", (1, 1, 1), 2, lanes=(1, 2), window_log2=0),
    "centred_wide": memory("dense", (4, 1, 1), 2, lanes=(4, 1)),
    "centred_slices": memory("dense", (4, 2, 1), 20, lanes=(2, 10)),
    "centred_conv_slices": memory("conv", (4, 5, 5), 16, kernel=2, lanes=(2, 8)),
}


@cocotb.test()
async def memories_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    f, bundle, spec = unit.config.spec.formats, unit.bundle, unit.config.spec
    driver = Centred(dut, name, unit)
    low, high, top = f.master_low, f.master_high, (1 << spec.mean_bits) - 1
    for batch in range(8):
        # batches 0 and 1: weights start at one end of their range and are pushed to the other by their own
        # updates and, with the largest means, by bias updates of the opposite sign, so that every sum reaches
        # its largest value
        sign, kind = ((1, "low"), (-1, "high"))[batch] if batch < 2 else (0, None)
        before = [
            integers(low, high, bundle.weight_shape, kind),
            integers(low, high, (bundle.post.channels,)),
        ]
        before.append(integers(0, top, (bundle.pre.channels,), "high" if sign else None))
        # a reset may leave bias updates and totals of a batch: the commit after the host's write drops them
        await driver.update(*(integers(-9, 9, x.shape) for x in before[:2]))
        await driver.write(*before)
        left = integers(0, 99, (bundle.pre.channels,))
        await driver.commit_batch(f"{name}, batch {batch}, written", left, before)
        for part in range(random.choice((1, 2, 3))):
            samples = f.max_batch if sign else random.randint(1, 9)
            bound = (
                f.update_bound if sign or random.random() < 0.3 else random.choice((3, 90, f.update_bound))
            )
            sums = [torch.zeros_like(x) for x in before[:2]]
            for _ in range(samples):
                changes = [various(-bound, bound, sums[0].shape), integers(-bound, bound, sums[1].shape)]
                if sign:
                    changes = [
                        torch.full_like(x, way * sign * bound) for x, way in zip(sums, (1, -1), strict=True)
                    ]
                await driver.update(*changes)
                sums = [old + new for old, new in zip(sums, changes, strict=True)]
                await pulse(driver.port.counted, driver.port.edge)
            most = samples * spec.read_bound(bundle)
            total = integers(0, most, (bundle.pre.channels,), "high" if sign else None)
            after = centring.commit_bundle(spec, bundle, tuple(before), (*sums, total), samples)
            await driver.commit_batch(f"{name}, batch {batch}, part {part}", total, after)
            before = list(after)


class Centred(Driver):
    """Drive all ports of one memory, and serve the totals of its input channels."""

    def __init__(self, dut, name, unit):
        super().__init__(dut, name, unit)
        self.cycles = commit_cycles(self.config, self.bundle)
        self.rows: list[int] = [0] * self.config.groups(self.bundle.pre)
        #: Channel groups whose totals the memory cleared, in order.
        self.cleared: list[int] = []
        cocotb.start_soon(self._answer())
        cocotb.start_soon(self._watch())

    async def _answer(self):
        """Show the totals of the requested group in the same cycle."""
        while True:
            await ValueChange(self.port.group)
            self._show()

    def _show(self):
        self.port.totals.value = self.rows[min(int(self.port.group.value), len(self.rows) - 1)]

    async def _watch(self):
        while True:
            await self.port.edge
            if self.port.clear.value:
                self.cleared.append(int(self.port.group.value))

    async def write(self, *parameters):
        """Write weights, biases and running means; lanes of means without a channel get random values."""
        rows, lanes = master_image(self.config, self.bundle, *parameters), self.unit.lanes
        pairs = rows[layout.master_words(self.config, self.bundle) :].reshape(-1, 2, lanes)
        for spare in range(self.bundle.pre.channels, len(pairs) * lanes):
            pairs[spare // lanes, :, spare % lanes] = integers(
                self.formats.master_low, self.formats.master_high, (2,)
            )
        await self.write_image(rows)

    async def commit_batch(self, where, total, parameters):
        """Commit with the given totals, and check that the given weights, biases and means result."""
        lanes = self.config.lanes[self.bundle.pre.index]
        self.rows = packed(total.reshape(-1, lanes).tolist(), total_bits(self.config, self.bundle))
        self._show()
        self.cleared.clear()
        await self.compare(where, tuple(parameters), self.cycles)
        assert self.cleared == list(range(len(self.rows))), f"{where}: totals of {self.cleared} were cleared"
