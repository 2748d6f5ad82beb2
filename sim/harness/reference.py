"""What unit benches share: small networks, random values with extremes, and golden's tensors as words on the wires."""

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import cocotb
import numpy as np
import torch
from cocotb.triggers import RisingEdge, gather
from torch import Tensor

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle, Conv, Dense, Layer
from golden.contract.spec import CLASSES, Learning, Schedule, Spec
from golden.model import ops, weight_image
from golden.model.difference import first_difference
from hw.synapse.interface import SPIKE_BANKS

from .streams import PATIENCE, pack, unpack
from .testbench import CLOCK

# -- small networks


def config_of(channels: tuple[int, int], lanes: tuple[int, int], *, dense: bool, window_log2: int, decay_shift: int) -> Config:
    """A configuration whose layers 1 and 2 have these channels and lanes; layer 3 is the output."""
    schedule = Schedule(1 << window_log2, 1 << window_log2, window_log2, decay_shift)
    second = Dense(channels[1]) if dense else Conv(channels[1])
    spec = Spec("bench", (Conv(channels[0]), second, Dense(CLASSES)), schedule, Learning(rates=(0.0,) * 3))
    return Config(spec, (1, *lanes, 1))


def bundle_of(
    kind: str,
    pre: tuple[int, int, int],
    channels: int,
    *,
    kernel: int = 1,
    lanes: tuple[int, int] = (1, 1),
    window_log2: int = 3,
    events: bool = False,
    shared: bool = False,
    passes: tuple[int, int] = (1, 1),
) -> tuple[Config, Bundle]:
    """A bundle from a layer of shape `pre` (any map, unlike in a Spec) to one of `channels`, and a configuration for it.

    events: with an event-driven engine, of so many passes. shared: the update engine shares multipliers between the phases.
    """
    height, width = (1, 1) if kind == "dense" else ((n - kernel + 1) // 2 for n in pre[1:])
    index = 1 if kind == "image" else 2
    near = (channels, 1) if index == 1 else (pre[0], channels)
    near_lanes = (lanes[1], 1) if index == 1 else lanes
    config = config_of(near, near_lanes, dense=kind == "dense", window_log2=window_log2, decay_shift=1)
    if events:
        config = replace(config, events=frozenset({index}), passes=passes)
    if shared:
        config = replace(config, shared=frozenset({index}))
    bundle = Bundle(index, kind, kernel, Layer(index - 1, *pre), Layer(index, channels, height, width))
    # phi exactly as wide as the worst case, which golden computes: all weights at their lowest, everything on
    lowest = torch.full(bundle.weight_shape, config.spec.formats.weight_low)
    full = [torch.ones((1, *layer.shape), dtype=torch.int64) for layer in (bundle.pre, bundle.post)]
    if kind == "image":
        full[0] *= (1 << config.spec.formats.pixel_bits) - 1
        bounds = [0, extent(ops.static_drive(full[0], lowest, config.spec))]
    else:
        bounds = [extent(phi) for phi in reversed(drives(bundle, *full, lowest))]
    return config, replace(bundle, pre=replace(bundle.pre, phi_bound=bounds[0]), post=replace(bundle.post, phi_bound=bounds[1]))


def extent(x: Tensor) -> int:
    """Largest magnitude."""
    return int(x.abs().max())


def drives(bundle: Bundle, pre: Tensor, post: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Forward and backward drive of a conv or dense bundle, shaped like the layers they go to, batch first."""
    if bundle.kind == "dense":
        forward, backward = ops.dense_forward(pre, w), ops.dense_backward(post, w)
        return forward.unflatten(1, bundle.post.shape), backward.unflatten(1, bundle.pre.shape)
    return ops.conv_forward(pre, w), ops.conv_backward(post, w, bundle)


# -- random values


def generator() -> np.random.Generator:
    """Random numbers that follow from the seed of the running test."""
    return np.random.default_rng(random.getrandbits(32))


def integers(low: int, high: int, shape: Iterable[int]) -> Tensor:
    """int64 within low..high: all low, all high, uniform, or a mix in which the extremes are frequent."""
    rng, shape = generator(), tuple(shape)
    kind = random.choice(("low", "high", "uniform", "mixed", "mixed"))
    if kind in ("low", "high"):
        return torch.full(shape, low if kind == "low" else high)
    values = rng.integers(low, high, shape, np.int64, endpoint=True)
    if kind == "mixed":
        values = np.choose(rng.integers(0, 4, shape), (np.full(shape, low), np.full(shape, high), values, values))
    return torch.from_numpy(values)


def spikes(shape: Iterable[int], *, all_on: bool = False) -> Tensor:
    """Spikes of random density: none, few, half or all."""
    density = 1.0 if all_on else random.choice((0.0, 0.1, 0.5, 0.5, 1.0))
    return torch.from_numpy((generator().random(tuple(shape)) < density).astype(np.int64))


# -- words


def lane_words(x: Tensor) -> Tensor:
    """Maps (maps, lanes, height, width) to words in raster order, one map after the other: (words, lanes)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def packed(words: Iterable[Iterable[int]], bits: int) -> list[int]:
    """Rows of lanes to the words of an ArrayLayout."""
    return [pack(lanes, bits) for lanes in words]


def unpacked(words: Iterable[int], bits: int, lanes: int, *, signed: bool = True) -> list[list[int]]:
    """The inverse of `packed`."""
    return [unpack(word, bits, lanes, signed=signed) for word in words]


def master_image(config: Config, bundle: Bundle, weight: Tensor, bias: Tensor | None = None) -> np.ndarray:
    """Torch-ordered weights and biases (default: zeros) as (master words, lanes)."""
    bias = torch.zeros(bundle.post.channels, dtype=torch.int64) if bias is None else bias
    return weight_image.pack(config, bundle, weight.numpy(), bias.numpy())


def tile_words(config: Config, bundle: Bundle, weight: Tensor) -> list[int]:
    """The working memory that holds these weights."""
    image = master_image(config, bundle, weight)[: layout.weight_words(config, bundle)]
    return packed(image.reshape(layout.tiles(config, bundle), -1), config.spec.formats.weight_bits)


# -- time


class Planned(NamedTuple):
    """One step of a sample: its phase, its number in the phase, and the fields of `hw.synapse.interface.Step`."""

    phase: str
    t: int
    fields: dict[str, int]


def plan(window: int, free: int, nudged: int = 0) -> Iterator[Planned]:
    """The steps of a sample with any legal banks: each reads what the step before wrote, a nudged phase starts from the free
    phase's last, and spikes are written to a bank that neither is read nor still needed."""
    last = random.randrange(SPIKE_BANKS)
    for phase, steps in (("free", free), ("plus", nudged), ("minus", nudged)):
        read, nudge = last, int(phase != "free")
        for t in range(steps):
            needed = {read, last} if phase == "plus" else {read}
            write = random.choice([bank for bank in range(SPIKE_BANKS) if bank not in needed])
            yield Planned(
                phase,
                t,
                {
                    "first": int(phase == "free" and t == 0),
                    "spike_read": read,
                    "spike_write": write,
                    "state_read": int(nudge and t > 0),
                    "state_write": nudge,
                    "nudge": nudge,
                    "negative": int(phase == "minus"),
                    "sum": int(t >= steps - window),
                    "sum_first": int(t == steps - window),
                },
            )
            read = write
        if phase == "free":
            last = read


class Recorder:
    """Cycles, counted like `Monitor.cycle` from the moment of creation, in which all these signals are high."""

    def __init__(self, dut, *names: str):
        self.cycles: list[int] = []
        cocotb.start_soon(self._watch(RisingEdge(getattr(dut, CLOCK)), [getattr(dut, name) for name in names]))

    async def _watch(self, edge, signals) -> None:
        for cycle in itertools.count():
            await edge
            if all(signal.value for signal in signals):
                self.cycles.append(cycle)


async def pulse(signal, edge) -> None:
    """High for one cycle."""
    signal.value = 1
    await edge
    signal.value = 0


async def run_part(port, signal=None) -> int:
    """Starts what has `busy` by `start` or another signal; returns after its end: the number of cycles it was busy."""
    await pulse(port.start if signal is None else signal, port.edge)
    for cycle in range(PATIENCE):
        await port.edge
        if not port.busy.value:
            return cycle
    raise AssertionError(f"{port.name}: busy for {PATIENCE} cycles")


async def each(dut, units: dict, check, *arguments) -> None:
    """Runs `check(dut, name, unit, *arguments)` for all units of a bench at once: they share the clock, not more."""
    await gather(*(check(dut, name, unit, *arguments) for name, unit in units.items()))


# -- comparison


def expect(where: str, got, expected, names: tuple[str, ...] = ("word", "lane")) -> None:
    """Integer arrays are equal; otherwise the assertion names the place of the first difference, and both values."""
    got, expected = (np.asarray(x, dtype=object) for x in (got, expected))
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, expected {expected.shape}"
    difference = first_difference([(where, got, expected)])
    assert difference is None, difference.text("got", "expected", names)
