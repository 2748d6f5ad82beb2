# amaranth: UnusedElaboratable=no
"""The event queue against a list of the spikes, in every cycle: no, few and all spikes, with and without backpressure."""

import random
from collections import deque

import cocotb

from hw.event_queue import EventQueue, event
from hw.step import spike_word

from .reference import bundle_of, each
from .streams import Port, start


def queue(shape: tuple[int, int, int], lanes: int) -> EventQueue:
    """For a layer of that shape."""
    config, bundle = bundle_of("conv", shape, 1, kernel=3, lanes=(lanes, 1))
    return EventQueue(config, bundle.pre)


#: Cycles from a word to its first event, if nothing waits before it.
LATENCY = 3

UNITS = {
    "queue_1x4x4": queue((1, 4, 4), 1),
    "queue_6x4x7": queue((6, 4, 7), 3),
    "queue_4x5x4": queue((4, 5, 4), 4),
    "queue_3x5x5": queue((3, 5, 5), 1),
}


@cocotb.test()
@cocotb.parametrize(gap=[0.0, 0.5], stall=[0.0, 0.4, 0.9])
async def events_equal_the_spikes(dut, gap, stall):
    await start(dut)
    await each(dut, UNITS, check, gap, stall)


async def check(dut, name, unit, gap, stall):
    config, layer, port = unit.config, unit.layer, Port(dut, name)
    words, lanes = config.words(layer), config.lanes[layer.index]
    word, item = spike_word(words, lanes), event(config, layer)
    longest = 0
    for step, density in enumerate((1.0, 0.0, 0.05, 0.5, 1.0, 0.5)):
        spikes = [sum((random.random() < density) << lane for lane in range(lanes)) for _ in range(words)]
        address, waiting, bubble, taken = 0, deque[int](), 0, 0
        while address < words or waiting:
            valid, ready = address < words and random.random() >= gap, random.random() >= stall
            fields = {"address": address, "spikes": spikes[address]} if valid else {"spikes": random.getrandbits(lanes)}
            port.i__valid.value, port.i__payload.value = int(valid), word.const(fields).as_bits()
            port.o__ready.value = int(ready)
            await port.edge

            where = f"{name}, step {step}, word {address}, event {taken}"
            assert port.busy.value == bool(waiting), f"{where}: busy is {port.busy.value}, {len(waiting)} events wait"
            if port.o__valid.value:
                assert waiting, f"{where}: an event too many"
                got = item.from_bits(int(port.o__payload.value))
                assert got.as_bits() == waiting[0], f"{where}: got {got}, expected {item.from_bits(waiting[0])}"
                if ready:
                    waiting.popleft()
                    taken += 1
                bubble = 0
            else:
                bubble = bubble + 1 if waiting else 0
                longest = max(longest, bubble)
            if valid:
                group, position = divmod(address, layer.positions)
                y, x = divmod(position, layer.width)
                lit = [lane for lane in range(lanes) if spikes[address] >> lane & 1]
                waiting.extend(item.const({"group": group, "lane": lane, "y": y, "x": x}).as_bits() for lane in lit)
                address += 1
        port.i__valid.value = 0
        for _ in range(random.choice((1, 5))):
            await port.edge
            assert not port.o__valid.value, f"{name}, step {step}: more than the spikes"
            assert not port.busy.value, f"{name}, step {step}: busy with nothing"
    assert longest == LATENCY - 1, f"{name}: an event came {longest + 1} cycles after its word, expected {LATENCY}"


@cocotb.test()
async def a_whole_layer_waits_and_leaves_without_a_gap(dut):
    await start(dut)
    await each(dut, UNITS, check_whole)


async def check_whole(dut, name, unit):
    config, layer, port = unit.config, unit.layer, Port(dut, name)
    words, lanes = config.words(layer), config.lanes[layer.index]
    for _ in range(3):
        port.o__ready.value = 0
        for address in range(words):
            fields = {"address": address, "spikes": (1 << lanes) - 1}
            port.i__valid.value, port.i__payload.value = 1, spike_word(words, lanes).const(fields).as_bits()
            await port.edge
        port.i__valid.value, port.o__ready.value = 0, 1
        for n in range(layer.neurons):
            await port.edge
            assert port.o__valid.value, f"{name}: no event in cycle {n}"
        await port.edge
        assert not port.o__valid.value, f"{name}: more than {layer.neurons} events"
