# amaranth: UnusedElaboratable=no
"""Memory from self test to accesses: written words are read back; a wrong chip fails the self test."""

import random
from itertools import pairwise

import cocotb
from cocotb.triggers import ClockCycles

from nudge.hw.memory.interface import ADDRESS_BITS, BURST, Access
from nudge.hw.memory.timing import REFRESHES
from sim.harness.streams import Port, StreamSink, StreamSource, start, wait_for
from sim.harness.testbench import CLOCK

from .chip import watch
from .pattern import PLACES, check_left
from .unit import CYCLES, MemoryAndChip

UNITS = {
    "memory_near": MemoryAndChip(),
    "memory_far": MemoryAndChip(way=7),
    "memory_missing": MemoryAndChip(missing=True),
    # its upper row bits aren't connected
    "memory_small": MemoryAndChip(address_bits=14),
}
#: Units with a wrong chip, which are only to fail their self test.
NOT_MUTATED = ("memory_missing", "memory_small")


@cocotb.test()
async def self_test(dut):
    """The self test finds the read delay of a memory, and fails without a memory or with a smaller one."""
    await start(dut)
    await ClockCycles(getattr(dut, CLOCK), 3000)
    for name, works, delay in (("near", 1, 0), ("far", 1, 7), ("missing", 0, 7), ("small", 0, 7)):
        await wait_for(dut, f"memory_{name}__ready")
        assert getattr(dut, f"memory_{name}__works").value == works, name
        assert not works or getattr(dut, f"memory_{name}__delay").value == delay, name
        assert getattr(dut, f"memory_{name}__broken").value == 0, name


@cocotb.test()
@cocotb.parametrize(name=["near", "far"])
async def what_the_self_test_leaves(dut, name):
    unit = f"memory_{name}"
    await start(dut)
    watch(dut, unit)
    await wait_for(dut, f"{unit}__works")
    accesses = [Access.const({"write": 0, "address": place, "length": BURST}).as_bits() for place in PLACES]
    asking = cocotb.start_soon(StreamSource(dut, f"{unit}__port__access").put(accesses))
    found = await StreamSink(dut, f"{unit}__port__read").get(BURST * len(PLACES))
    await asking
    check_left({place: found[BURST * n :][:BURST] for n, place in enumerate(PLACES)})


@cocotb.test()
@cocotb.parametrize(name=["near", "far"])
async def it_is_refreshed_no_more_than_it_must(dut, name):
    """After power-up, refreshes are as rare as possible if an access of full length may delay each."""
    port, times, rest = Port(dut, f"memory_{name}"), [], 0
    await start(dut)
    for cycle in range(50_000):
        await port.edge
        rest += int(port.works.value)
        if port.refreshes.value:
            times.append(cycle)
        if rest == 10 * CYCLES.refresh:
            break
    gaps = [after - before for before, after in pairwise(times)][REFRESHES - 1 :]
    assert min(gaps) == CYCLES.refresh - CYCLES.longest(BURST) + 1
    assert max(gaps) <= CYCLES.refresh


@cocotb.test()
@cocotb.parametrize(name=["near", "far"])
async def a_memory_at_rest_begins_at_once(dut, name):
    """An access to an idle memory is taken after one cycle, except for the few that meet a REFRESH."""
    port = Port(dut, f"memory_{name}__port")
    await start(dut)
    await wait_for(dut, f"memory_{name}__works")
    port.read__ready.value = 1
    waits = []
    for _ in range(40):
        await ClockCycles(getattr(dut, CLOCK), random.randint(40, 60))
        port.access__payload.value = Access.const({"write": 0, "address": 0, "length": 1}).as_bits()
        port.access__valid.value = 1
        waited = -1
        while waited < 0 or not port.access__ready.value:
            await port.edge
            waited += 1
        port.access__valid.value = 0
        waits.append(waited)
    assert waits.count(1) >= 36, waits
    assert 0 not in waits, waits


@cocotb.test()
@cocotb.parametrize(name=["near", "far"], stall=[0.0, 0.5])
async def words_come_back(dut, name, stall):
    """Random accesses to random banks and rows return the words of a dictionary, with random stalls."""
    unit = f"memory_{name}"
    await start(dut)
    watch(dut, unit)
    await wait_for(dut, f"{unit}__works")
    source = {what: StreamSource(dut, f"{unit}__port__{what}") for what in ("access", "write")}
    sink = StreamSink(dut, f"{unit}__port__read")
    words: dict[int, int] = {}
    places = [random.getrandbits(ADDRESS_BITS - 4) << 4 for _ in range(6)]
    accesses, written, expected = [], [], []
    for number in range(150):
        first = random.randrange(BURST)
        address, length = random.choice(places) + first, random.randint(1, BURST - first)
        known = all(n in words for n in range(address, address + length))
        write = number < 20 or not known or random.random() < 0.4
        accesses.append(Access.const({"write": write, "address": address, "length": length}).as_bits())
        for n in range(address, address + length):
            if write:
                words[n] = random.getrandbits(16)
                written.append(words[n])
            else:
                expected.append(words[n])
    tasks = [cocotb.start_soon(source["access"].put(accesses, stall=stall))]
    tasks.append(cocotb.start_soon(source["write"].put(written, stall=stall)))
    got = await sink.get(len(expected), stall=stall)
    assert got == expected
    for task in tasks:
        await task
