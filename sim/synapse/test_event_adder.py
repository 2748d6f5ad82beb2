# amaranth: UnusedElaboratable=no
"""The event adder against sums of the kernels selected by the masks, and the cycles of each window."""

import random

import cocotb
import torch

from nudge.hw.synapse.event_adder import EventAdder
from nudge.hw.synapse.event_layout import CANDIDATES, kernel_word
from sim.harness.random_values import generator, integers
from sim.harness.streams import FlowSource, Monitor, Port, StreamSource, start
from sim.harness.units import each, expect
from sim.harness.words import packed, unpacked

UNITS = {
    "adder_one": EventAdder(units=1, lanes=1, chunks=1, weight_bits=4, bits=8, interval=1),
    "adder_chunks": EventAdder(units=3, lanes=4, chunks=2, weight_bits=5, bits=11, interval=2),
    "adder_wide": EventAdder(units=8, lanes=3, chunks=3, weight_bits=10, bits=17, interval=4),
    "adder_passes": EventAdder(units=3, lanes=8, chunks=4, weight_bits=5, bits=11, interval=2, passes=2),
    "adder_fine": EventAdder(units=3, lanes=4, chunks=2, weight_bits=5, bits=11, interval=2, spike_bits=2),
    "adder_blocks": EventAdder(
        units=3, lanes=8, chunks=4, weight_bits=5, bits=11, interval=2, passes=2, blocks=True
    ),
    "adder_fine_blocks": EventAdder(
        units=2, lanes=4, chunks=2, weight_bits=6, bits=12, interval=1, passes=1, spike_bits=2, blocks=True
    ),
    "adder_thirds": EventAdder(units=2, lanes=6, chunks=3, weight_bits=6, bits=12, interval=1, passes=3),
}


@cocotb.test()
async def sums_equal_python(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def stays_busy(port):
    """Check in every cycle that the adder isn't idle while it gives a sum."""
    while True:
        await port.edge
        assert port.busy.value or not port.o__valid.value, f"{port.name}: idle with a sum to come"


async def check(dut, name, unit):
    cocotb.start_soon(stays_busy(Port(dut, name)))
    port, source = Port(dut, name), StreamSource(dut, f"{name}__i")
    kernels, monitor = FlowSource(dut, f"{name}__kernels"), Monitor(dut, f"{name}__o")
    lanes = unit.lanes // unit.chunks
    shape = kernel_word(units=unit.units, lanes=unit.lanes, chunks=unit.chunks, weight_bits=unit.weight_bits)
    low = -(1 << (unit.weight_bits - 1))
    for number in range(4):
        w = integers(low, low if number == 0 else -low - 1, (unit.units, CANDIDATES, unit.lanes))
        places = [(u, i, c) for u in range(unit.units) for i in range(CANDIDATES) for c in range(unit.chunks)]
        random.shuffle(places)
        await kernels.send(
            shape.const(
                {"unit": u, "index": i, "chunk": c, "weights": w[u, i, c * lanes : (c + 1) * lanes].tolist()}
            ).as_bits()
            for u, i, c in places
        )
        density = 1.0 if number == 0 else random.choice((0.05, 0.2, 0.5))
        masks = torch.from_numpy((generator().random((30, unit.units, CANDIDATES)) < density).astype(int))
        if number == 1:
            masks[5:9] = 0
        done = len(monitor.words)
        negative = masks * integers(0, unit.spike_bits - 1, masks.shape)
        parts = (masks, negative)[: unit.spike_bits]
        words = [
            sum(
                mask << CANDIDATES * (u * len(parts) + n)
                for n, row in enumerate(rows)
                for u, mask in enumerate(row)
            )
            for rows in zip(*map(packed_masks, parts), strict=True)
        ]
        await source.put(words, stall=random.choice((0.0, 0.5)) if number > 1 else 0.0)
        await monitor.wait(done + len(words) * unit.passes)
        share = unit.lanes // unit.passes
        got = unpacked(monitor.words[done:], unit.bits, share)
        expect(
            f"{name}, round {number}",
            got,
            torch.einsum("nui,uil->nl", masks - 2 * negative, w).reshape(-1, share),
        )
        if number <= 1:
            took = [b - a for a, b in zip(monitor.cycles[done:], monitor.cycles[done + 1 :], strict=False)]
            passes = masks.sum(2).amax(1).clamp(min=unit.interval)
            busiest = passes.repeat_interleave(unit.passes).tolist()
            assert took == busiest[1:], (
                f"{name}, round {number}: passes took {took} cycles, expected {busiest[1:]}"
            )
        for _ in range(3):
            await port.edge
        assert not port.busy.value, f"{name}: still busy after the last sum"


def packed_masks(masks):
    """Pack masks (windows, units, candidates) into one integer per window and unit."""
    return [packed(window.tolist(), 1) for window in masks]
