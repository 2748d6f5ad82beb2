# amaranth: UnusedElaboratable=no
"""The event-driven engine against the golden model: drives, and cycles as a function of the spikes."""

import cocotb
import torch

from nudge.golden.contract.event_units import CANDIDATES, SPOTS, backward_place, forward_place
from nudge.hw.synapse.event_conv_engine import EventConvEngine
from sim.harness.networks import bundle_of
from sim.harness.random_values import spikes
from sim.harness.streams import serve_memory, start, wait_for
from sim.harness.units import each, halves, pulse
from sim.synapse import sample_check
from sim.synapse.sample_check import attached, spike_words

UNITS = {
    "event_conv_third": EventConvEngine(
        *bundle_of("conv", (4, 10, 16), 8, kernel=3, lanes=(4, 8), events=True, index=3)
    ),
    "event_conv_4x4": EventConvEngine(*bundle_of("conv", (1, 4, 4), 1, kernel=3, events=True)),
    "event_conv_6x7": EventConvEngine(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1), events=True)),
    "event_conv_9x6": EventConvEngine(*bundle_of("conv", (6, 9, 6), 4, kernel=3, lanes=(3, 2), events=True)),
    "event_conv_5x9": EventConvEngine(
        *bundle_of("conv", (3, 5, 9), 20, kernel=3, lanes=(3, 10), events=True)
    ),
    "event_conv_fine": EventConvEngine(
        *bundle_of("conv", (4, 6, 7), 6, kernel=3, lanes=(2, 3), events=True, fine=True)
    ),
    "event_conv_halves": EventConvEngine(
        *bundle_of("conv", (3, 7, 6), 8, kernel=3, lanes=(3, 2), events=True, passes=(2, 1))
    ),
    "event_conv_fourths": EventConvEngine(
        *bundle_of("conv", (8, 6, 6), 8, kernel=3, lanes=(4, 2), events=True, passes=(4, 2))
    ),
    "event_conv_alone": EventConvEngine(
        *bundle_of("conv", (4, 6, 7), 6, kernel=3, lanes=(2, 3), events=True, slots=1)
    ),
    "event_conv_alone_third": EventConvEngine(
        *bundle_of("conv", (4, 10, 16), 8, kernel=3, lanes=(4, 8), events=True, index=3, fine=True, slots=1)
    ),
    "event_conv_blocks": EventConvEngine(
        *bundle_of(
            "conv",
            (4, 6, 7),
            6,
            kernel=3,
            lanes=(2, 3),
            events=True,
            passes=(2, 2),
            kernel_blocks=True,
            fine=True,
        )
    ),
}

#: Cycles from the beginning of a half to the first word of drives, which were summed during the half before.
FIRST_WORD = 2

#: Largest number of cycles from the earliest end of the last window to the beginning of the next half: the
#: adder's stages and the writes.
OVERHEAD = 14


def test_units_end_early_and_late():
    seen = {tuple(side.ends_early for side in unit.sides.values()) for unit in UNITS.values()}
    assert seen >= {(True, True), (False, False)}


@cocotb.test()
async def drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    """Compare all drives; a start may have to wait for all windows of the half before."""
    longest = [
        side.rows * side.columns * side.adder.passes * max(side.adder.interval, CANDIDATES)
        for side in unit.sides.values()
    ]
    await sample_check.check(dut, name, unit, FIRST_WORD, FIRST_WORD + max(longest) + OVERHEAD)


@cocotb.test()
async def a_half_takes_as_long_as_its_spikes(dut):
    await start(dut)
    await each(dut, UNITS, check_time)


async def check_time(dut, name, unit):
    """Start each half once all spikes of the previous one were sent; its drives must follow them."""
    config = unit.config
    port, layers, sources, sinks = attached(dut, name, unit)
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", [])
    finish, came, where, late = 0, 0, "", 0
    for half in halves(window=1, samples=[(4, 1)], slots=config.slots):
        alone = {side: config.slots == 1 and half[layer.index % 2].idle for side, layer in layers.items()}
        fired = {side: spikes(layer.shape) * (not alone[side]) for side, layer in layers.items()}
        port.pre_step.value, port.post_step.value = (half[layer.index % 2].bits for layer in layers.values())
        assert not port.busy.value, f"{where}: a start has been put off"
        reads = [cocotb.start_soon(sink.get(config.words(layer))) for sink, layer in sinks.values()]
        await pulse(port.start, port.edge)
        begin = came + 1 + await wait_for(dut, f"{name}__forward__valid") - FIRST_WORD
        assert max(finish, came) < begin <= max(finish, came) + OVERHEAD, (
            f"{where}: {begin}, expected {finish}, or {came}"
        )
        late += begin > came + 1
        words = {side: spike_words(config, layer, fired[side][None]) for side, layer in layers.items()}
        writes = [cocotb.start_soon(source.send(words[side])) for side, source in sources.items()]
        finish, came = max(forward_end(unit, fired["pre"]), backward_end(unit, fired["post"])), 0
        where = f"{name}, {[int(s.sum()) for s in fired.values()]} spikes"
        while not all(task.done() for task in (*reads, *writes)):
            came += 1
            await port.edge
    assert late, f"{name}: no half was put off"


def forward_end(unit, pre: torch.Tensor) -> int:
    """Return the cycle in which the last pooled position is finished, if spike word n comes in cycle n + 1.

    If the engine ends early, the cycle in which the last window begins.
    """
    config, bundle = unit.config, unit.bundle
    time, before = 0, (config.groups(bundle.pre) - 1) * bundle.pre.positions
    for py in range(bundle.post.height):
        for px in range(bundle.post.width):
            time = max(time, before + (2 * py + 3) * bundle.pre.width + 2 * px + 4)
            window = (
                pre[:, 2 * py : 2 * py + 4, 2 * px : 2 * px + 4]
                .reshape(-1, 2, 2, 2, 2)
                .permute(1, 3, 2, 4, 0)
            )
            counts = [0] * unit.sides["forward"].adder.units
            for block, spot, channel in window.reshape(4, SPOTS, -1).nonzero().tolist():
                counts[forward_place(bundle.pre.channels, block, spot, channel)[0]] += 1
            took = window_time(unit.sides["forward"].adder, counts)
            time += took
    return time - took if unit.sides["forward"].ends_early else time


def backward_end(unit, post: torch.Tensor) -> int:
    """Return the same for the last block of pre positions."""
    config, bundle = unit.config, unit.bundle
    time, before = 0, (config.groups(bundle.post) - 1) * bundle.post.positions
    framed = torch.nn.functional.pad(post, (1, 1, 1, 1))
    for y in range(bundle.post.height + 1):
        for x in range(bundle.post.width + 1):
            last = min(y, bundle.post.height - 1) * bundle.post.width + min(x, bundle.post.width - 1)
            time = max(time, before + last + 1)
            window = framed[:, y : y + 2, x : x + 2].permute(1, 2, 0)
            counts = [0] * unit.sides["backward"].adder.units
            for block, channel in window.reshape(4, -1).nonzero().tolist():
                counts[backward_place(bundle.post.channels, block, channel)[0]] += 1
            took = window_time(unit.sides["backward"].adder, counts)
            time += took
    return time - took if unit.sides["backward"].ends_early else time


def window_time(adder, counts) -> int:
    """Return the cycles of a window with these numbers of spikes per unit: passes x max(interval, counts)."""
    return adder.passes * max(adder.interval, *counts)
