# amaranth: UnusedElaboratable=no
"""Parts of the scatter engine: spikes in order, words of drives, copied and folded weights, and additions."""

import random
from collections import defaultdict
from itertools import product

import cocotb
import torch
from cocotb.triggers import gather

from nudge.hw.synapse.scatter.backward import BackwardScatter
from nudge.hw.synapse.scatter.folding import FoldedWeights, even_side, folding_cycles
from nudge.hw.synapse.scatter.forward import ForwardScatter
from nudge.hw.synapse.scatter.queue import SpikeQueue
from nudge.hw.synapse.scatter.sums import APART, DriveSums
from nudge.hw.synapse.scatter.weights import TransposedWeights, copy_cycles
from sim.harness.networks import bundle_of, drives
from sim.harness.random_values import integers, spikes
from sim.harness.streams import (
    PATIENCE,
    FlowSource,
    Port,
    StreamSink,
    StreamSource,
    pack,
    serve_memory,
    start,
    unpack,
    wait_for,
)
from sim.harness.units import each, expect, pulse
from sim.harness.words import layer_words, tile_words

from .sample_check import spike_words

FINE = bundle_of("conv", (4, 6, 7), 6, kernel=3, padding=1, lanes=(2, 3), scatters=True, fine=True)
EVEN = bundle_of("conv", (2, 5, 6), 2, kernel=2, lanes=(2, 2), scatters=True)
FOLDED = bundle_of(
    "conv", (4, 6, 7), 6, kernel=3, padding=1, lanes=(2, 3), scatters=True, folded=True, fine=True
)
FOLDED_EVEN = bundle_of("conv", (2, 5, 6), 2, kernel=2, lanes=(2, 2), scatters=True, folded=True)
QUEUES = {
    "queue_fine": SpikeQueue(FINE[0], FINE[1].pre, (6, 7)),
    "queue_one": SpikeQueue(EVEN[0], EVEN[1].post, (2, 2)),
    "queue_reach": SpikeQueue(FINE[0], FINE[1].pre, (5, 6)),
}
SUMS = {
    "sums_two_banks": DriveSums(words=7, lanes=2, banks=2, bits=12, most=2000, term_bits=6),
    "sums_four_banks": DriveSums(words=4, lanes=1, banks=4, bits=12, most=2000, term_bits=6),
}
WEIGHTS = {"transposed_fine": TransposedWeights(*FINE), "transposed_even": TransposedWeights(*EVEN)}
FOLDS = {"folded_fine": FoldedWeights(*FOLDED), "folded_even": FoldedWeights(*FOLDED_EVEN)}
SCATTERS = {
    "forward_fine": ForwardScatter(*FINE),
    "forward_even": ForwardScatter(*EVEN),
    "forward_folded": ForwardScatter(*FOLDED),
    "forward_folded_even": ForwardScatter(*FOLDED_EVEN),
    "backward_fine": BackwardScatter(*FINE),
    "backward_even": BackwardScatter(*EVEN),
}
UNITS = QUEUES | SUMS | WEIGHTS | FOLDS | SCATTERS


def singles(config, layer, s):
    """Return a layer's spikes s (channels, height, width) as values of `spike_of`, in the queue's order."""
    lanes = config.lanes[layer.index]
    grouped = s.reshape(-1, lanes, *s.shape[1:]).permute(0, 2, 3, 1)
    return [
        {"base": group * lanes, "y": y, "x": x, "lane": lane, "negative": int(grouped[group, y, x, lane] < 0)}
        for group, y, x, lane in grouped.nonzero().tolist()
    ]


@cocotb.test()
async def queues_send_all_spikes_in_order(dut):
    await start(dut)
    await each(dut, QUEUES, check_queue)


async def check_queue(dut, name, unit):
    config, layer, port = unit.config, unit.layer, Port(dut, name)
    source, sink, shape = FlowSource(dut, f"{name}__i"), StreamSink(dut, f"{name}__o"), unit.o.payload.shape()
    for half in range(12):
        assert port.empty.value
        await pulse(port.start, port.edge)
        fired = spikes(layer.shape, all_on=half == 0, fine=config.spec.spike_bits > 1)
        port.mute.value = muted = half % 4 == 3
        within = fired.clone()
        within[:, unit.reach[0] :], within[:, :, unit.reach[1] :] = 0, 0
        sent = [] if muted else [shape.const(spike).as_bits() for spike in singles(config, layer, within)]
        words, stall = spike_words(config, layer, fired[None]), random.choice((0.0, 0.8))
        got, _ = await gather(
            sink.get(len(sent), stall=stall), source.send(words, gap=random.choice((0.0, 0.5)))
        )
        assert got == sent, f"{name}, half {half}"
        for _ in range(3):
            await port.edge
        assert not sink.valid.value, f"{name}, half {half}: more spikes than were sent"


@cocotb.test()
async def sums_are_sent_and_zeroed(dut):
    await start(dut)
    await each(dut, SUMS, check_sums)


async def check_sums(dut, name, unit):
    """Add to one bank while another is sent; a silent, a kept and a plain bank are sent in turn."""
    port, sink = Port(dut, name), StreamSink(dut, f"{name}__o")
    await wait_for(dut, f"{name}__clearing", 0)
    model = [[[0] * unit.lanes for _ in range(unit.words)] for _ in range(unit.banks)]
    for half in range(24):
        if half == 15:
            await pulse(port.clear, port.edge)
            await port.edge
            await wait_for(dut, f"{name}__clearing", 0)
            model = [[[0] * unit.lanes for _ in range(unit.words)] for _ in range(unit.banks)]
        added, sent = half % unit.banks, (half - 1) % unit.banks
        silent, keep = half % 5 == 3, half % 5 == 4
        port.write_bank.value, port.read_bank.value, port.silent.value, port.keep.value = (
            added,
            sent,
            silent,
            keep,
        )
        reading = cocotb.start_soon(sink.get(unit.words, stall=random.choice((0.0, 0.5))))
        await pulse(port.start, port.edge)
        await additions(port, unit, model[added], 40)
        words = [unpack(word, unit.bits, unit.lanes, signed=True) for word in await reading]
        expect(f"{name}, half {half}", words, [[0] * unit.lanes] * unit.words if silent else model[sent])
        if not keep:
            model[sent] = [[0] * unit.lanes for _ in range(unit.words)]


async def additions(port, unit, bank, count):
    """Make random additions, in `bank` too; those to the same word must be taken `APART` cycles apart."""
    bits = len(port.terms) // unit.lanes
    recent, coming = [-1] * (APART - 1), (0, 0)
    while count or any(place >= 0 for place in recent) or coming != (0, 0):
        place = random.randrange(unit.words) if count and random.random() < 0.8 else -1
        port.add.value, port.address.value = place >= 0, max(place, 0)
        await port.edge
        port.terms.value, port.carry.value = coming
        coming, taken = (0, 0), place if port.ready.value else -1
        assert taken < 0 or taken not in recent, f"word {taken} is added to too soon"
        recent = [*recent[1:], taken]
        if taken >= 0:
            count -= 1
            terms, carry = [random.randrange(-20, 20) for _ in range(unit.lanes)], random.randrange(2)
            coming = (pack(terms, bits), carry)
            bank[taken] = [old + term + carry for old, term in zip(bank[taken], terms, strict=True)]
    port.add.value = 0
    await port.edge
    port.terms.value, port.carry.value = 0, 0
    for _ in range(3):
        await port.edge
    assert not port.adding.value


@cocotb.test()
async def weights_are_transposed(dut):
    await start(dut)
    await each(dut, WEIGHTS, check_weights)


async def check_weights(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    w, tiles = integers(-128, 127, bundle.weight_shape), list[int]()
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    tiles[:] = tile_words(config, bundle, w)
    await pulse(port.prepare, port.edge)
    assert await wait_for(dut, f"{name}__busy", 0) in range(
        copy_cycles(config, bundle), copy_cycles(config, bundle) + 3
    )
    port.read.value = 1
    for address, word in enumerate(transposed(unit, w)):
        port.address.value = address
        await port.edge
        await port.edge
        assert int(port.weights.value) == word, f"{name}, word {address}"


def transposed(unit, w):
    """Return the weights w (post, pre, k, k) as words of `TransposedWeights`."""
    lanes = unit.config.lanes[unit.bundle.pre.index]
    words = w.reshape(len(w), -1, lanes, unit.bundle.kernel**2).permute(1, 3, 0, 2).reshape(-1, lanes)
    return [pack(word, unit.config.spec.formats.weight_bits) for word in words.tolist()]


@cocotb.test()
async def weights_are_folded(dut):
    await start(dut)
    await each(dut, FOLDS, check_folded)


async def check_folded(dut, name, unit):
    """Fold twice: the second time must not depend on the first."""
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    tiles, length = list[int](), folding_cycles(config, bundle)
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    for _ in range(2):
        w = integers(-128, 127, bundle.weight_shape)
        tiles[:] = tile_words(config, bundle, w)
        await pulse(port.prepare, port.edge)
        assert await wait_for(dut, f"{name}__done") in range(length - 1, length + 1)
        await port.edge
        assert not port.busy.value
        for address, word in enumerate(folded(unit, w)):
            port.address.value = address
            await port.edge
            await port.edge
            assert int(port.weights.value) == word, f"{name}, word {address}"


def folded(unit, w):
    """Return the weights w (post, pre, k, k) as words of `FoldedWeights`."""
    lanes, side, k = unit.config.lanes[unit.bundle.index], even_side(unit.bundle), unit.bundle.kernel
    sums = torch.zeros((*w.shape[:2], side, side), dtype=w.dtype)
    for dy, dx in product(range(2), repeat=2):
        sums[:, :, dy : dy + k, dx : dx + k] += w
    words = sums.reshape(-1, lanes, *sums.shape[1:]).permute(0, 2, 3, 4, 1).reshape(-1, lanes)
    return [pack(word, unit.config.spec.formats.weight_bits + 2) for word in words.tolist()]


@cocotb.test()
async def additions_equal_golden(dut):
    await start(dut)
    await each(dut, SCATTERS, check_scatter)


async def check_scatter(dut, name, unit):
    """Add up the terms by address; they must equal the drive."""
    config, bundle, port, source = unit.config, unit.bundle, Port(dut, name), StreamSource(dut, f"{name}__i")
    forward = isinstance(unit, ForwardScatter)
    layer, target = (bundle.pre, bundle.post) if forward else (bundle.post, bundle.pre)
    w, shape, words = integers(-128, 127, bundle.weight_shape), unit.i.payload.shape(), list[int]()
    lanes = config.lanes[target.index]
    if forward:
        serve_memory(dut, f"{name}__weight_address", f"{name}__weights", words)
        words[:] = folded(unit, w) if unit.folds else tile_words(config, bundle, w)
    else:
        cocotb.start_soon(serve_when_read(port, transposed(unit, w)))
    for half in range(4):
        fired = spikes(layer.shape, all_on=half == 0, fine=config.spec.spike_bits > 1)
        putting = cocotb.start_soon(
            source.put([shape.const(spike).as_bits() for spike in singles(config, layer, fired)])
        )
        sums: dict[int, list[int]] = defaultdict(lambda: [0] * lanes)
        coming: list[int | None] = [None, None]
        quiet = 0
        for _ in range(PATIENCE):
            port.ready.value = random.random() < 0.7
            await port.edge
            place = coming.pop(0)
            terms = unpack(int(port.terms.value), len(port.terms) // lanes, lanes, signed=True)
            if place is None:
                assert not any(terms), f"{name}: a term without an address"
                assert not port.carry.value, f"{name}: a carry without an address"
            else:
                sums[place] = [
                    old + term + int(port.carry.value) for old, term in zip(sums[place], terms, strict=True)
                ]
            taken = int(port.address.value) if port.add.value and port.ready.value else None
            coming.append(taken)
            quiet = quiet + 1 if putting.done() and not port.busy.value else 0
            if quiet > len(coming):
                break
        silent = torch.zeros((1, *target.shape), dtype=torch.int64)
        both = drives(bundle, *((fired[None], silent) if forward else (silent, fired[None])), w)
        golden = layer_words(config, target, both[0 if forward else 1][0])
        expect(f"{name}, half {half}", [sums[n] for n in range(len(golden))], golden)


async def serve_when_read(port, words):
    """Act as a memory whose output changes only after a cycle in which ``read`` is high."""
    while True:
        await port.edge
        if port.read.value:
            address = int(port.weight_address.value)
            port.weights.value = words[address] if address < len(words) else 0
