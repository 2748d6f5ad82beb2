# amaranth: UnusedElaboratable=no
"""The compact core's memory map has disjoint regions, within their memories, for every network that fits."""

from dataclasses import replace
from itertools import combinations

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.presets import preset
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.compact.compact_core import CompactCore
from nudge.hw.compact.memory_map import LEFT, LOW, PARAMETERS, RIGHT, WORD_BITS, MemoryMap, Region
from nudge.hw.lib.single_port_memory import DEPTH
from nudge.plumbing.errors import ConfigError


def network(channels, kernel, window_log2=3, **formats):
    schedule = Schedule(40, 40, window_log2=window_log2, order="odd-even")
    stages = (Conv(channels, kernel), Dense(10))
    spec = Spec("a network", stages, schedule, Learning((0.5, 0.5)), Formats(**formats))
    return Config(spec, (1, 1, 1), compact=True)


def largest():
    """Yield (channels, kernel) and the map with the most channels that fit, for kernels up to 27."""
    for kernel in range(1, 28):
        taken = None
        for channels in range(1, DEPTH):
            try:
                taken = (channels, kernel), MemoryMap(network(channels, kernel))
            except ConfigError:
                break
        if taken:
            yield taken


LARGEST = dict(largest())


def test_the_largest_networks_are_those_expected():
    assert MemoryMap(Config(preset("tiny"), (1, 1, 1), compact=True))
    assert (4, 3) in LARGEST
    assert (5, 5) in LARGEST
    # the static drives of larger kernels need more than 16 bits
    assert {kernel for _, kernel in LARGEST} == set(range(1, 9))


@pytest.mark.parametrize("size", LARGEST, ids=str)
def test_regions_are_apart_and_within_their_memory(size):
    regions = LARGEST[size].regions
    assert {region.memory for region in regions} == {PARAMETERS, LOW, LEFT, RIGHT}
    for region in regions:
        assert region.bits <= WORD_BITS[region.memory]
        for used in region.used():
            assert 0 <= used.start < used.stop <= DEPTH, region.name
    banks = [(r.name, r.memory, used) for r in regions for used in r.used()]
    for (name, memory, used), (other, other_memory, others) in combinations(banks, 2):
        if memory == other_memory or {memory, other_memory} == {PARAMETERS, LOW}:
            assert used.stop <= others.start or others.stop <= used.start, f"{name} and {other}"


@pytest.mark.parametrize("size", LARGEST, ids=str)
def test_every_word_has_the_address_that_its_region_says(size):
    memory_map = LARGEST[size]
    for region in memory_map.regions:
        width = memory_map.address_bits(region.memory)
        for bank, used in enumerate(region.used()):
            assert addresses(region, bank, len(used), width) == list(used), region.name


def addresses(region, bank, words, width):
    """Return the addresses (`Region.address`) of the first words of a bank, in `width` bits."""
    m, index, which = Module(), Signal(range(words)), Signal(max(region.banks - 1, 1))
    address, found = Signal(width), []
    m.d.comb += address.eq(region.address(index, which))

    async def look(ctx):
        ctx.set(which, bank)
        for i in range(words):
            ctx.set(index, i)
            found.append(ctx.get(address))

    simulator = Simulator(m)
    simulator.add_testbench(look)
    simulator.run()
    return found


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (network(5, 3), "the compact core has 8192 words for masters, not 8460"),
        # the limit of masters of the image bundle, which only networks with few neurons reach
        (network(15, 25), "the compact core has 4096 words for masters of the image, not 9390"),
        (network(1, 9), "the compact core has 16 bits for static drives, not 17"),
        (network(1, 3, window_log2=4), "the compact core shifts updates by 25 bits, not 27"),
        (network(1, 3, rate_fraction=15), "the compact core has 31 bits for g, not 34"),
        (network(1, 3, master_bits=19), "the compact core has 18 bits for a master, not 19"),
        (Config(preset("tiny"), (1, 4, 10)), "the compact core has one lane a layer, not (1, 4, 10)"),
        (
            Config(
                replace(preset("tiny"), schedule=replace(preset("tiny").schedule, fine=(3, 1))),
                (1, 1, 1),
                compact=True,
            ),
            "the compact core has spikes without a sign, not fine ones as tiny has",
        ),
        (
            Config(
                replace(preset("tiny"), schedule=replace(preset("tiny").schedule, centred=True)),
                (1, 1, 1),
                compact=True,
            ),
            "the compact core commits updates as they are, not centred as tiny has it",
        ),
        (
            Config(preset("small"), (1,) * 5),
            "the compact core takes one convolution and the output, not small",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_what_it_cannot_hold(config, message):
    with pytest.raises(ConfigError) as error:
        CompactCore(config)
    assert str(error.value) == message


def test_refuses_more_words_than_a_bank_has():
    with pytest.raises(ConfigError, match="the compact core has 1024 words for d, not 1025"):
        Region("d", LEFT, 0, 1024, (1024, 1025), 16)


def test_refuses_a_base_within_the_banks():
    with pytest.raises(ValueError, match="a multiple of all banks, not 1024"):
        Region("xi", LEFT, 1024, 1024, (1, 1), 9)
