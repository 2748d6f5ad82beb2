# amaranth: UnusedElaboratable=no
"""The convolution of spikes and of pixels against the golden model, window by window."""

import cocotb
import torch

from nudge.golden.contract.formats import Formats
from nudge.golden.model import ops
from nudge.hw.synapse.convolution import Convolution
from sim.harness.random_values import integers
from sim.harness.streams import FlowSource, Monitor, pack, start
from sim.harness.units import each, expect
from sim.harness.words import packed, unpacked

WEIGHT, PIXEL = Formats().weight_bits, Formats().pixel_bits
UNITS = {
    "conv_spikes": Convolution(inputs=3, outputs=2, taps=9, weight_bits=WEIGHT),
    "conv_one": Convolution(inputs=1, outputs=1, taps=4, weight_bits=WEIGHT),
    "conv_wide": Convolution(inputs=4, outputs=1, taps=16, weight_bits=WEIGHT),
    "conv_narrow": Convolution(inputs=2, outputs=3, taps=1, weight_bits=3),
    "conv_fine_spikes": Convolution(inputs=3, outputs=2, taps=4, weight_bits=WEIGHT, sample_bits=2),
    "conv_pixels": Convolution(inputs=1, outputs=2, taps=9, weight_bits=WEIGHT, sample_bits=PIXEL),
    "conv_pixel_pairs": Convolution(inputs=2, outputs=1, taps=4, weight_bits=WEIGHT, sample_bits=PIXEL),
}
WINDOWS = 12


@cocotb.test()
async def sums_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    weights_port = getattr(dut, f"{name}__weights")
    source = FlowSource(dut, f"{name}__i")
    entries, monitor = Monitor(dut, f"{name}__i"), Monitor(dut, f"{name}__o")
    weight_bits = len(weights_port) // (unit.outputs * unit.inputs * unit.taps)
    low, high = -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1
    least, top = (-1 if unit.sample_bits == 2 else 0), 1 if unit.spikes else (1 << unit.sample_bits) - 1
    kernel = round(unit.taps**0.5)
    shape, inputs = (unit.outputs, unit.inputs, kernel, kernel), (WINDOWS, unit.inputs, kernel, kernel)
    pairs = [(torch.full(shape, w), torch.full(inputs, s)) for w in (low, high) for s in {least, 0, top}]
    pairs += [(integers(low, high, shape), integers(least, top, inputs)) for _ in range(6)]
    for number, (w, samples) in enumerate(pairs):
        weights_port.value = pack(w.flatten(), weight_bits)
        # one word per tap of a window; its lanes are the channels
        taps = samples.flatten(2).transpose(1, 2)
        windows = packed(
            (packed(window, unit.sample_bits) for window in taps), unit.inputs * unit.sample_bits
        )
        done = len(monitor.words)
        await source.send(windows, gap=0.3 * (number % 2))
        words = await monitor.wait(done + WINDOWS)
        got = unpacked(words[done:], unit.output_bits, unit.outputs)
        expect(
            f"{name} sum, kernels {number}",
            got,
            ops.convolution(samples, w)[:, :, 0, 0],
            ("window", "output"),
        )
    assert monitor.cycles == [cycle + unit.latency for cycle in entries.cycles], (
        f"{name}: latency isn't {unit.latency}"
    )
