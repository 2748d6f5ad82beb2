# amaranth: UnusedElaboratable=no
"""The spike window against slices of the map: every position, odd and even maps, with or without a border."""

import random

import cocotb
import torch

from nudge.hw.synapse.spike_window import SpikeWindow
from sim.harness.networks import bundle_of
from sim.harness.random_values import spikes
from sim.harness.streams import FlowSource, Port, start
from sim.harness.units import each, expect, pulse
from sim.synapse.sample_check import spike_words


def window(
    shape: tuple[int, int, int], lanes: int, block: int, border: int, *, fine: bool = False
) -> SpikeWindow:
    """Return the spike window of a layer of that shape."""
    config, bundle = bundle_of("conv", shape, 1, kernel=3, lanes=(lanes, 1), fine=fine)
    return SpikeWindow(config, bundle.pre, block=block, border=border)


UNITS = {
    "window_4x4": window((1, 4, 4), 1, 2, 0),
    "window_9x6": window((4, 9, 6), 2, 2, 0),
    "window_5x11": window((3, 5, 11), 3, 2, 0),
    "window_framed": window((6, 5, 4), 3, 1, 1),
    "window_fine": window((4, 5, 6), 2, 2, 0, fine=True),
}


#: Maps per unit: in a single small map, many bits are equal by chance.
MAPS = 16


@cocotb.test()
async def windows_equal_slices(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, source = Port(dut, name), FlowSource(dut, f"{name}__i")
    layer, block, border = unit.layer, unit.block, unit.border
    channels, height, width = layer.shape
    spots, spike = block * block, unit.config.spec.spike_bits
    for number in range(MAPS):
        s = spikes(layer.shape, all_on=number == 0, fine=spike > 1)
        await source.send(spike_words(unit.config, layer, s[None]), gap=random.choice((0.0, 0.5)))
        await port.edge
        assert int(port.count.value) == unit.config.words(layer), (
            f"{name}: {int(port.count.value)} words counted"
        )
        await pulse(port.start, port.edge)
        await port.edge
        assert int(port.count.value) == 0, f"{name}: words are counted after start"
        framed = torch.nn.functional.pad(s, (border, block, border, block))
        for row in range(border + height // block - 1 + border):
            for column in range(border + width // block - 1 + border):
                port.row.value, port.column.value = row, column
                await port.edge
                await port.edge
                bits = int(port.window.value)
                got = [bits >> spike * n & (1 << spike) - 1 for n in range(4 * spots * channels)]
                place = framed[:, block * row : block * (row + 2), block * column : block * (column + 2)]
                blocks = place.reshape(channels, 2, block, 2, block).permute(1, 3, 2, 4, 0) & (1 << spike) - 1
                expect(
                    f"{name}, map {number}, block ({row}, {column})",
                    got,
                    blocks.flatten().tolist(),
                    ("spike",),
                )
