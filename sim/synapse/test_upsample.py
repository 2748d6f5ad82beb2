# amaranth: UnusedElaboratable=no
"""Padded upsampling against the golden model: maps with and without a dropped row or column."""

import random

import cocotb
import torch

from nudge.golden.model import ops
from nudge.hw.synapse.upsample import Upsample
from sim.harness.networks import bundle_of
from sim.harness.random_values import various
from sim.harness.streams import Monitor, Port, serve_memory, start
from sim.harness.units import Recorder, each, expect, pulse

PLANES, BITS = 9, 3


def unit_of(height, width, kernel, padding=0):
    _, bundle = bundle_of("conv", (1, height, width), 1, kernel=kernel, padding=padding)
    return Upsample(bundle, bits=BITS, words=PLANES * bundle.post.positions)


UNITS = {
    "upsample_6x8": unit_of(6, 8, 3),
    "upsample_7x5": unit_of(7, 5, 3),
    "upsample_4x5": unit_of(4, 5, 2),
    "upsample_8x6": unit_of(8, 6, 4),
    "upsample_3x2": unit_of(3, 2, 1),
    "upsample_padding_1": unit_of(6, 5, 3, 1),
    "upsample_padding_2": unit_of(5, 6, 6, 2),
}


@cocotb.test()
async def planes_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, monitor, starts = Port(dut, name), Monitor(dut, f"{name}__o"), Recorder(dut, f"{name}__start")
    bundle, size = unit.bundle, unit.rows * unit.columns
    post = bundle.post
    planes = various(0, (1 << BITS) - 1, (PLANES, 1, post.height, post.width))
    planes[0] = torch.arange(1, post.positions + 1).reshape(post.height, post.width) % (1 << BITS)
    serve_memory(dut, f"{name}__address", f"{name}__data", planes.flatten().tolist())
    padded = ops.framed(ops.upsample(planes, bundle), bundle.kernel - 1 - bundle.padding)
    assert padded.shape[2:] == (unit.rows, unit.columns), (
        f"{name}: {unit.rows}x{unit.columns} words, golden has {padded.shape}"
    )
    for number in (0, 1, *random.sample(range(PLANES), PLANES), 0):
        done = len(monitor.words)
        assert done % size == 0, f"{name}: {done} words before plane {number}"
        port.base.value = number * post.positions
        await pulse(port.start, port.edge)
        # the first word comes in the second cycle after `start`; a `start` while a plane is sent is ignored
        again = random.randrange(2, size)
        for _ in range(again):
            await port.edge
        await pulse(port.start, port.edge)
        words = (await monitor.wait(done + size))[done:]
        expect(f"{name} plane {number}", words, padded[number].flatten(), ("word",))
        begin = starts.cycles[-2]
        expect(
            f"{name} plane {number} cycle",
            monitor.cycles[done:],
            range(begin + 2, begin + 2 + size),
            ("word",),
        )
        for _ in range(random.choice((0, 0, 3))):
            await port.edge
    await port.edge
    sent = PLANES + 3
    assert len(monitor.words) == sent * size, f"{name}: {len(monitor.words)} words, expected {sent * size}"
