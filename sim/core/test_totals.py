# amaranth: UnusedElaboratable=no
"""Totals per channel against torch: several samples with gaps, all groups read and cleared, extremes."""

import random

import cocotb
import torch

from nudge.hw.core.totals import Totals, read_word, total_bits
from sim.harness.networks import bundle_of
from sim.harness.random_values import integers
from sim.harness.streams import FlowSource, Port, start, unpack
from sim.harness.units import each
from sim.harness.words import layer_words, packed

UNITS = {
    "totals_conv": Totals(*bundle_of("conv", (4, 3, 4), 2, kernel=2, lanes=(2, 1), centred=True)),
    "totals_dense": Totals(*bundle_of("dense", (6, 1, 1), 4, lanes=(3, 2), centred=True)),
    "totals_one": Totals(*bundle_of("dense", (1, 1, 1), 2, lanes=(1, 2), window_log2=0, centred=True)),
    "totals_image": Totals(*bundle_of("image", (3, 4, 5), 2, kernel=2, centred=True)),
}


@cocotb.test()
async def totals_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    spec, layer, lanes = config.spec, bundle.pre, config.lanes[bundle.pre.index]
    source, bits = FlowSource(dut, f"{name}__i"), total_bits(config, bundle)
    width = read_word(config, bundle).elem_shape.width
    top = spec.read_bound(bundle) // layer.positions
    most = 0
    # a reset clears no memory
    for group in range(unit.groups):
        port.group.value, port.clear.value = group, 1
        await port.edge
    port.clear.value = 0
    for batch in range(4):
        total = torch.zeros(layer.channels, dtype=torch.int64)
        samples = spec.formats.max_batch if batch == 0 else random.randint(1, 5)
        for _ in range(samples):
            # the width of a read word also bounds the values: a pixel is at most 255
            highest = min(top, (1 << width) - 1)
            x = torch.full(layer.shape, highest) if batch == 0 else integers(0, highest, layer.shape)
            await source.send(packed(layer_words(config, layer, x), width), gap=random.choice((0.0, 0.3)))
            total += x.sum((1, 2))
            port.group.value = random.randrange(unit.groups)
        await port.edge
        for group in range(unit.groups):
            port.group.value = group
            await port.edge
            got = unpack(int(port.totals.value), bits, lanes, signed=False)
            expected = total[group * lanes : (group + 1) * lanes].tolist()
            assert got == expected, f"{name}, batch {batch}, group {group}: {got}, expected {expected}"
            port.clear.value = 1
            await port.edge
            port.clear.value = 0
        most = max(most, int(total.max()))
    assert most.bit_length() == bits or bundle.on_image, f"{name}: only reached {most}"
