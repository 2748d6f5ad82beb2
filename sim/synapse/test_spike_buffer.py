# amaranth: UnusedElaboratable=no
"""The spike buffer against a dictionary: one bank is read while another is written, half after half."""

import random

import cocotb

from nudge.hw.synapse.interface import banks_of, spike_word
from nudge.hw.synapse.spike_buffer import SpikeBuffer
from sim.harness.networks import config_of
from sim.harness.streams import FlowSource, Port, start
from sim.harness.units import each, halves

COARSE, FINE, ALONE = (
    config_of((1, 1), (1, 1), dense=True, window_log2=0, decay_shift=1, fine=fine, slots=slots)
    for fine, slots in ((False, 2), (True, 2), (False, 1))
)
UNITS = {
    "spikes_5x2": SpikeBuffer(words=5, lanes=2, banks=banks_of(1, COARSE)),
    "spikes_1x4": SpikeBuffer(words=1, lanes=4, banks=banks_of(2, COARSE)),
    "spikes_8x1": SpikeBuffer(words=8, lanes=1, banks=banks_of(1, COARSE)),
    "spikes_fine_5x2": SpikeBuffer(words=5, lanes=2, banks=banks_of(2, FINE), bits=2),
    "spikes_9x3": SpikeBuffer(words=9, lanes=3, banks=banks_of(2, COARSE)),
    "spikes_alone_odd": SpikeBuffer(words=5, lanes=2, banks=banks_of(1, ALONE), slots=1),
    "spikes_alone_even": SpikeBuffer(words=4, lanes=3, banks=banks_of(2, ALONE), slots=1),
}


@cocotb.test()
async def reads_what_was_written(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    port, source = Port(dut, name), FlowSource(dut, f"{name}__i")
    shape = spike_word(unit.words, unit.lanes, unit.bits)
    width = unit.lanes * unit.bits
    odd = unit.banks == unit.slots  # odd layers send these spikes and even layers read them, or vice versa
    banks: dict[tuple[int, int], list[int]] = {}
    for run in range(3):
        samples = [(3, 2)] * random.randint(1, 3)
        planned = halves(window=1, samples=samples, first=run, fine=unit.bits > 1, slots=unit.slots)
        for number, half in enumerate(planned):
            source_half, target = (half[1], half[0]) if odd else (half[0], half[1])
            port.source.value, port.target.value = source_half.bits, target.bits
            new = [random.choice((0, (1 << width) - 1, random.getrandbits(width))) for _ in range(unit.words)]
            words = [shape.const({"address": n, "spikes": word}).as_bits() for n, word in enumerate(new)]
            random.shuffle(words)
            writer = cocotb.start_soon(source.send(words, gap=random.choice((0.0, 0.4))))
            silent, bank = target.fields.get("silent"), (target.slot, target.fields.get("kept", 0))
            old = [0] * unit.words if silent else banks.get(bank, [])
            await port.edge
            asked: list[int] = []
            for _ in range(3 * unit.words):
                asked.append(random.randrange(unit.words))
                port.address.value = asked[-1]
                await port.edge
                # `data` belongs to the address of `latency` cycles before
                if len(asked) > unit.latency:
                    at = asked[-1 - unit.latency]
                    got, where = int(port.data.value), f"{name}, run {run}, half {number}, word {at}"
                    assert target.idle or got == old[at], f"{where}: got {got:b}, expected {old[at]:b}"
            await writer
            await port.edge
            if unit.slots > 1 or not source_half.idle:
                banks[source_half.slot, source_half.fields.get("keep", 0)] = new
