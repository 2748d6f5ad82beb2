# amaranth: UnusedElaboratable=no
"""The skid buffer passes all words in order, one per cycle without backpressure, and offers words early."""

import random

import cocotb

from nudge.hw.lib.skid_buffer import SkidBuffer
from sim.harness.streams import Port, StreamSink, StreamSource, start
from sim.harness.units import each

UNITS = {"skid_1": SkidBuffer(1), "skid_9": SkidBuffer(9)}
WORDS = 300


@cocotb.test()
async def words_pass_in_order(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    clock, source, sink = Port(dut, name), StreamSource(dut, f"{name}__i"), StreamSink(dut, f"{name}__o")
    width = len(source.payload)
    for stalls in ((0.0, 0.0), (0.0, 0.6), (0.6, 0.0), (0.4, 0.4)):
        words = [random.getrandbits(width) for _ in range(WORDS)]
        cocotb.start_soon(source.put(words, stall=stalls[0]))
        reader, cycles = cocotb.start_soon(sink.get(WORDS, stall=stalls[1])), 0
        while not reader.done():
            await clock.edge
            cycles += 1
        assert reader.result() == words, f"{name}: other words with stalls of {stalls}"
        if stalls == (0.0, 0.0):
            assert cycles <= WORDS + 3, f"{name}: {cycles} cycles for {WORDS} words"
    # `valid` doesn't wait for `ready`
    words = [random.getrandbits(width) for _ in range(2)]
    cocotb.start_soon(source.put(words))
    for _ in range(4):
        await clock.edge
    assert sink.valid.value, f"{name}: two words wait inside, none is offered"
    assert not source.ready.value, f"{name}: a third word would be taken"
    assert await sink.get(2) == words, f"{name}: other words than those that waited"
