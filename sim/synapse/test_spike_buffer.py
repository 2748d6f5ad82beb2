# amaranth: UnusedElaboratable=no
"""The spike buffer against a dictionary: reading one bank while another is written, step after step."""

import random

import cocotb

from hw.synapse.interface import Step, spike_word
from hw.synapse.spike_buffer import SpikeBuffer
from sim.harness.streams import FlowSource, Port, start
from sim.harness.units import each, plan

UNITS = {
    "spikes_5x2": SpikeBuffer(words=5, lanes=2),
    "spikes_1x4": SpikeBuffer(words=1, lanes=4),
    "spikes_8x1": SpikeBuffer(words=8, lanes=1),
    "spikes_9x3": SpikeBuffer(words=9, lanes=3),
}


@cocotb.test()
async def reads_what_was_written(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, source = Port(dut, name), FlowSource(dut, f"{name}__i")
    shape = spike_word(unit.words, unit.lanes)
    banks: dict[int, list[int]] = {}
    for _ in range(3):
        for planned in plan(window=2, free=4, nudged=3):
            fields = planned.fields
            port.step.value = Step.const(fields).as_bits()
            new = [random.choice((0, (1 << unit.lanes) - 1, random.getrandbits(unit.lanes))) for _ in range(unit.words)]
            words = [shape.const({"address": n, "spikes": word}).as_bits() for n, word in enumerate(new)]
            random.shuffle(words)
            writer = cocotb.start_soon(source.send(words, gap=random.choice((0.0, 0.4))))
            old = [0] * unit.words if fields["first"] else banks[fields["spike_read"]]
            await port.edge
            asked: list[int] = []
            for _ in range(3 * unit.words):
                asked.append(random.randrange(unit.words))
                port.address.value = asked[-1]
                await port.edge
                # now `data` belongs to the address before this one
                if len(asked) > unit.latency:
                    at = asked[-1 - unit.latency]
                    got, where = int(port.data.value), f"{name}, {planned.phase} step {planned.t}, word {at}"
                    assert got == old[at], f"{where}: got {got:b}, expected {old[at]:b}"
            await writer
            await port.edge
            banks[fields["spike_write"]] = new
