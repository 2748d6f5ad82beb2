# amaranth: UnusedElaboratable=no
"""The scatter engine against the golden model: directions, borders, padding, groups, lanes, kept drives."""

import cocotb
import numpy as np
import torch
from cocotb.triggers import gather

from nudge.golden.contract.shapes import taps_of
from nudge.hw.synapse.scatter.engine import ScatterEngine
from nudge.hw.synapse.scatter.forward import spike_cycles
from nudge.hw.synapse.scatter.sums import APART
from sim.harness.networks import bundle_of
from sim.harness.random_values import spikes
from sim.harness.streams import serve_memory, start, wait_for
from sim.harness.units import each, halves, pulse
from sim.synapse import sample_check
from sim.synapse.sample_check import attached, spike_words

UNITS = {
    "scatter_third": ScatterEngine(
        *bundle_of("conv", (4, 6, 7), 8, kernel=3, lanes=(2, 2), scatters=True, index=3)
    ),
    "scatter_4x4": ScatterEngine(*bundle_of("conv", (1, 4, 4), 1, kernel=3, scatters=True)),
    "scatter_6x7": ScatterEngine(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1), scatters=True)),
    "scatter_5x9": ScatterEngine(
        *bundle_of("conv", (3, 5, 9), 8, kernel=3, lanes=(3, 2), scatters=True, fine=True)
    ),
    "scatter_fine": ScatterEngine(
        *bundle_of("conv", (4, 6, 7), 6, kernel=3, lanes=(2, 3), scatters=True, fine=True)
    ),
    "scatter_padding": ScatterEngine(
        *bundle_of("conv", (4, 8, 8), 8, kernel=3, padding=1, lanes=(2, 4), scatters=True, fine=True)
    ),
    "scatter_padded": ScatterEngine(
        *bundle_of("conv", (2, 5, 6), 4, kernel=3, padding=1, scatters=True, index=3)
    ),
    "scatter_kernel_1": ScatterEngine(
        *bundle_of("conv", (2, 5, 4), 4, kernel=1, lanes=(2, 2), scatters=True)
    ),
    "scatter_kernel_2": ScatterEngine(
        *bundle_of("conv", (2, 6, 5), 4, kernel=2, lanes=(2, 1), scatters=True, fine=True)
    ),
    "scatter_kernel_5": ScatterEngine(
        *bundle_of("conv", (2, 7, 8), 2, kernel=5, padding=2, lanes=(1, 2), scatters=True)
    ),
    "scatter_alone": ScatterEngine(
        *bundle_of("conv", (4, 6, 7), 6, kernel=3, lanes=(2, 3), scatters=True, slots=1)
    ),
    "scatter_alone_third": ScatterEngine(
        *bundle_of(
            "conv",
            (4, 6, 6),
            8,
            kernel=3,
            padding=1,
            lanes=(2, 4),
            scatters=True,
            index=3,
            fine=True,
            slots=1,
        )
    ),
    "scatter_folded": ScatterEngine(
        *bundle_of(
            "conv", (4, 7, 6), 8, kernel=3, lanes=(2, 4), scatters=True, folded=True, fine=True, slots=1
        )
    ),
    "scatter_folded_padding": ScatterEngine(
        *bundle_of(
            "conv", (6, 5, 6), 4, kernel=3, padding=1, lanes=(3, 4), scatters=True, folded=True, index=3
        )
    ),
    "scatter_folded_1": ScatterEngine(
        *bundle_of("conv", (2, 5, 4), 4, lanes=(2, 4), scatters=True, folded=True)
    ),
    "scatter_folded_2": ScatterEngine(
        *bundle_of("conv", (2, 6, 5), 4, kernel=2, lanes=(2, 1), scatters=True, folded=True, fine=True)
    ),
    "scatter_folded_5": ScatterEngine(
        *bundle_of("conv", (3, 7, 8), 2, kernel=5, padding=2, lanes=(1, 2), scatters=True, folded=True)
    ),
    "scatter_kernel_6": ScatterEngine(
        *bundle_of("conv", (2, 5, 4), 2, kernel=6, padding=2, lanes=(2, 2), scatters=True)
    ),
}

#: Cycles from the beginning of a half to the first word of drives.
FIRST_WORD = 3

#: Largest number of cycles from the last addition to the first word of the next half's drives.
OVERHEAD = 14


@cocotb.test()
async def drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    """Compare all drives; a start may have to wait for all spikes of the half before."""
    bundle, layers = unit.bundle, (unit.bundle.pre, unit.bundle.post)
    longest = (
        max(layer.neurons for layer in layers)
        * (bundle.kernel + 2) ** 2
        * max(unit.config.groups(x) + 3 for x in layers)
    )
    await sample_check.check(dut, name, unit, FIRST_WORD, longest)


@cocotb.test()
async def a_half_takes_as_long_as_its_spikes(dut):
    await start(dut)
    await each(dut, UNITS, check_time)


async def check_time(dut, name, unit):
    """Send all spikes of a half at once and start the next half: its drives must follow the last addition."""
    config, bundle = unit.config, unit.bundle
    port, layers, sources, sinks = attached(dut, name, unit)
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", [])
    least, most = FIRST_WORD, 1 << 20  # all memories are zeroed after the reset
    for number, half in enumerate(halves(window=1, samples=[(4, 1)], slots=config.slots)):
        port.pre_step.value, port.post_step.value = (half[layer.index % 2].bits for layer in layers.values())
        reads = [cocotb.start_soon(sink.get(config.words(layer))) for sink, layer in sinks.values()]
        await pulse(port.start, port.edge)
        waited = await wait_for(dut, f"{name}__forward__valid")
        assert least <= waited <= most, f"{name}, half {number}: {waited} cycles, expected {least}..{most}"
        await gather(*reads)
        # silence, then one spike, then many
        fired = {way: spikes(layer.shape) * (number > 2) for way, layer in layers.items()}
        for s in fired.values() if number == 2 else ():
            s[-1, -1, -1] = 1
        for way, layer in layers.items():
            fired[way] *= not (config.slots == 1 and half[layer.index % 2].idle)
        words = {way: spike_words(config, layer, fired[way][None]) for way, layer in layers.items()}
        await gather(*(sources[way].send(words[way]) for way in layers))
        for way, layer in layers.items():
            step = half[layer.index % 2].fields
            if (
                layer.index % 2 == 0
                and config.spec.spike_bits == 1
                and step.get("nudge")
                and step["sum_last"]
            ):
                fired[way] *= 0  # the last spikes of a nudged phase drive nothing
        behind = int(fired["post"].abs().sum()) * (bundle.kernel + 1) ** 2 * config.groups(bundle.pre)
        fewest, works = (
            max(additions(unit, fired["pre"]), behind),
            max(forward_cycles(unit, fired["pre"]), behind),
        )
        sent = max(map(len, words.values()))
        # words take a cycle each at most, and so do taps outside of the map and additions that must lie apart
        # between spikes
        others = max(int(s.abs().sum()) * APART + len(words[way]) for way, s in fired.items())
        most = works + (others if any(s.any() for s in fired.values()) else 0) + OVERHEAD
        least = max(fewest - sent - 4, FIRST_WORD)


def forward_cycles(unit, pre) -> int:
    """Return the cycles of the spikes (channels, height, width) of the pre layer."""
    config, bundle = unit.config, unit.bundle
    each = spike_cycles(bundle, config.groups(bundle.post), bundle.index in config.folded)
    return int((pre.abs() * torch.tensor(each)).sum())


def additions(unit, pre) -> int:
    """Return the additions of these spikes (channels, height, width)."""
    config, bundle = unit.config, unit.bundle
    each = torch.from_numpy(np.outer(*taps_of(bundle, bundle.index in config.folded)))
    return int((pre.abs() * each).sum()) * config.groups(bundle.post)
