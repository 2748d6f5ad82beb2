"""Engines of conv and dense bundles against golden: whole samples of steps with the banks of `hw.synapse.interface`."""

import random

import cocotb
import torch
from cocotb.triggers import gather

from hw.synapse.interface import Step, spike_word
from sim.harness.networks import drives
from sim.harness.random_values import integers, spikes
from sim.harness.streams import FlowSource, Port, StreamSink, serve_memory, wait_for
from sim.harness.units import expect, plan, pulse
from sim.harness.words import layer_words, packed, tile_words, unpacked


async def check(dut, name, unit, least: int, most: int):
    """Runs samples of steps; from `start` to the first forward word each takes `least` to `most` cycles."""
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    layers = {"pre": bundle.pre, "post": bundle.post}
    sources = {side: FlowSource(dut, f"{name}__{side}_spikes") for side in layers}
    sinks = {direction: StreamSink(dut, f"{name}__{direction}") for direction in ("forward", "backward")}
    f = config.spec.formats
    tiles: list[int] = []
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    banks: dict[int, dict[str, torch.Tensor]] = {}

    for sample in range(5):
        # the first sample reaches the bounds of phi: all weights at their lowest, all neurons spiking
        w = integers(f.weight_low, f.weight_low if sample == 0 else f.weight_high, bundle.weight_shape)
        tiles[:] = tile_words(config, bundle, w)
        await pulse(port.prepare, port.edge)
        await port.edge
        if port.preparing.value:
            await wait_for(dut, f"{name}__preparing", 0)
        for planned in plan(window=1, free=3, nudged=2):
            fields = planned.fields
            silence = {side: torch.zeros((1, *layer.shape), dtype=torch.int64) for side, layer in layers.items()}
            old = silence if fields["first"] else banks[fields["spike_read"]]
            new = {side: spikes(layer.shape, all_on=sample == 0)[None] for side, layer in layers.items()}
            port.step.value = Step.const(fields).as_bits()
            stall = random.choice((0.0, 0.3))
            reads = [
                cocotb.start_soon(sinks[direction].get(config.words(layer), stall=stall))
                for direction, layer in (("forward", bundle.post), ("backward", bundle.pre))
            ]
            await pulse(port.start, port.edge)
            writes = [
                cocotb.start_soon(sources[side].send(spike_words(config, layer, new[side]), gap=random.choice((0.0, 0.5))))
                for side, layer in layers.items()
            ]
            where = f"{name}, sample {sample}, {planned.phase} step {planned.t}"
            cycles = await wait_for(dut, f"{name}__forward__valid")
            assert least <= cycles <= most, f"{where}: first word after {cycles} cycles, expected {least}..{most}"
            await gather(*reads, *writes)
            await port.edge  # the cycle in which the last spikes show in `busy`
            if port.busy.value:
                await wait_for(dut, f"{name}__busy", 0)

            expected = drives(bundle, old["pre"], old["post"], w)
            for direction, layer, phi, read in zip(sinks, (bundle.post, bundle.pre), expected, reads, strict=True):
                got = unpacked(read.result(), layer.phi_bits, config.lanes[layer.index])
                expect(f"{where}, {direction} drive", got, layer_words(config, layer, phi[0]))
            for _ in range(random.choice((1, 1, 4))):
                await port.edge
            for sink in sinks.values():
                assert not sink.valid.value, f"{where}: {sink.name} has more words than the layer"
            banks[fields["spike_write"]] = new


def spike_words(config, layer, s):
    """New spikes of a layer as words of `spike_word`, in order of address."""
    shape = spike_word(config.words(layer), config.lanes[layer.index])
    rows = packed(layer_words(config, layer, s[0]), 1)
    return [shape.const({"address": address, "spikes": row}).as_bits() for address, row in enumerate(rows)]
