"""Compare engines of conv and dense bundles with the golden model: two samples in antiphase or one, spike
banks.
"""

import random

import cocotb
import torch
from cocotb.triggers import gather

from nudge.hw.synapse.interface import spikes_of
from sim.harness.networks import drives
from sim.harness.random_values import integers, spikes
from sim.harness.streams import FlowSource, Port, StreamSink, serve_memory, wait_for
from sim.harness.units import expect, halves, pulse
from sim.harness.words import layer_words, packed, tile_words, unpacked


def attached(dut, name, unit):
    """Return an engine's `Port`, its layers and sources of spikes by "pre" and "post", and by "forward" and
    "backward" the sink of the drives with the layer that takes them."""
    layers = {"pre": unit.bundle.pre, "post": unit.bundle.post}
    sources = {side: FlowSource(dut, f"{name}__{side}_spikes") for side in layers}
    sinks = {
        direction: (StreamSink(dut, f"{name}__{direction}"), layers[side])
        for direction, side in (("forward", "post"), ("backward", "pre"))
    }
    return Port(dut, name), layers, sources, sinks


async def check(dut, name, unit, least: int, most: int):
    """Run pairs of samples and a single one, and compare all drives.

    Each half must take `least` to `most` cycles from `start` to the first forward word.
    """
    config, bundle = unit.config, unit.bundle
    port, layers, sources, sinks = attached(dut, name, unit)
    fine = config.spec.spike_bits > 1
    tiles: list[int] = []
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    silence = {side: torch.zeros((1, *layer.shape), dtype=torch.int64) for side, layer in layers.items()}
    # the newest spikes by side and slot, and the kept ones (end of the free phase)
    last = {(side, slot): silence[side] for side in layers for slot in range(config.slots)}
    kept = dict(last)

    for run in range(4):
        w = draw_weights(config, bundle, run)
        tiles[:] = tile_words(config, bundle, w)
        await pulse(port.prepare, port.edge)
        await port.edge
        if port.preparing.value:
            await wait_for(dut, f"{name}__preparing", 0)
        samples = [(random.randint(1, 3), random.randint(1, 2)) for _ in range((2, 1, 3, 2)[run])]
        for number, half in enumerate(
            halves(window=1, samples=samples, first=run, fine=fine, slots=config.slots)
        ):
            does = {side: half[layer.index % 2] for side, layer in layers.items()}
            port.pre_step.value, port.post_step.value = does["pre"].bits, does["post"].bits
            new = dict(silence)
            for side, layer in layers.items():
                if not does[side].idle:
                    new[side] = spikes(layer.shape, all_on=run == 0, fine=fine)[None]
            stall = random.choice((0.0, 0.3))
            reads = [
                cocotb.start_soon(sink.get(config.words(layer), stall=stall))
                for sink, layer in sinks.values()
            ]
            await pulse(port.start, port.edge)
            writes = [
                cocotb.start_soon(
                    _answer(sources[side], sinks[direction][0], spike_words(config, layers[side], new[side]))
                )
                for side, direction in (("post", "forward"), ("pre", "backward"))
            ]
            where = f"{name}, run {run}, half {number}"
            cycles = await wait_for(dut, f"{name}__forward__valid")
            assert least <= cycles <= most, (
                f"{where}: first word after {cycles} cycles, expected {least}..{most}"
            )
            await gather(*reads, *writes)
            await port.edge  # the cycle in which the last spikes show in `busy`
            if port.busy.value:
                await wait_for(dut, f"{name}__busy", 0)

            read_by = {"pre": does["post"], "post": does["pre"]}
            old = {}
            for side, target in read_by.items():
                fields = target.fields
                banks = kept if fields.get("kept") else last
                old[side] = silence[side] if fields.get("silent") else banks[side, target.slot]
            expected = drives(bundle, old["pre"], old["post"], w)
            targets = (("forward", bundle.post, does["post"]), ("backward", bundle.pre, does["pre"]))
            for (direction, layer, target), phi, read in zip(targets, expected, reads, strict=True):
                if target.idle:
                    continue
                got = unpacked(read.result(), layer.phi_bits, config.lanes[layer.index])
                at = f"{where}, sample {target.sample}, {target.phase} sweep {target.t}, {direction} drive"
                expect(at, got, layer_words(config, layer, phi[0]))
            for sink, _ in sinks.values():
                assert not sink.valid.value, f"{where}: {sink.name} has more words than the layer"
            for side, source in does.items():
                if source.idle and config.slots == 1:
                    continue  # the other layers' half reads this bank
                banks = kept if source.fields.get("keep") else last
                banks[side, source.slot] = new[side]


def draw_weights(config, bundle, run: int) -> torch.Tensor:
    """Draw the weights of a run. Run 0 reaches the bounds of phi: all weights are at their lowest, beside
    spikes of all neurons. Equal weights hide some errors, so run 1 has uniform random ones."""
    f, kind = config.spec.formats, "uniform" if run == 1 else None
    return integers(f.weight_low, f.weight_low if run == 0 else f.weight_high, bundle.weight_shape, kind)


async def _answer(source, drives, words) -> None:
    """Send a layer's spikes, but none before the first word of its drives."""
    while not drives.valid.value:
        await drives.edge
    await source.send(words, gap=random.choice((0.0, 0.5)))


def spike_words(config, layer, s):
    """Return the spikes s (1, channels, height, width) of a layer as words of `spikes_of`, by address."""
    shape, bits = spikes_of(config, layer), config.spec.spike_bits
    rows = packed(layer_words(config, layer, s[0]), bits)
    return [shape.const({"address": address, "spikes": row}).as_bits() for address, row in enumerate(rows)]
