# amaranth: UnusedElaboratable=no
"""The correlator against sums of products and the model's update: bounds, rates, rounding, clipping."""

import random
from typing import NamedTuple

import cocotb
import numpy as np
import torch

from nudge.golden.contract import layout
from nudge.golden.model import ops
from nudge.hw.update.correlator import Correlator, item, pre_bits
from nudge.hw.update.interface import update_word
from sim.harness.networks import bundle_of
from sim.harness.random_values import generator
from sim.harness.streams import FlowSource, Monitor, start
from sim.harness.units import each, expect
from sim.update.pass_check import finest_rate

UNITS = {
    "correlator_dense": Correlator(*bundle_of("dense", (2, 3, 1), 4, lanes=(1, 2))),
    "correlator_conv": Correlator(*bundle_of("conv", (2, 6, 7), 3, kernel=3, lanes=(1, 3))),
    "correlator_turns": Correlator(*bundle_of("conv", (2, 6, 7), 16, kernel=3, lanes=(1, 16))),
    "correlator_shared": Correlator(*bundle_of("conv", (2, 6, 7), 16, kernel=3, lanes=(1, 8), shared=True)),
    "correlator_dense_shared": Correlator(*bundle_of("dense", (2, 3, 1), 8, lanes=(1, 4), shared=True)),
    "correlator_image": Correlator(*bundle_of("image", (1, 8, 6), 2, kernel=3, lanes=(1, 1))),
    "correlator_fine": Correlator(*bundle_of("conv", (2, 6, 7), 3, kernel=3, lanes=(1, 3), fine=True)),
    "correlator_fine_dense_shared": Correlator(
        *bundle_of("dense", (2, 3, 1), 8, lanes=(1, 4), shared=True, fine=True)
    ),
    "correlator_vector": Correlator(
        *bundle_of("conv", (2, 6, 7), 3, kernel=3, lanes=(1, 3), fine=True, vector_field=True)
    ),
    "correlator_vector_dense_shared": Correlator(
        *bundle_of("dense", (2, 3, 1), 8, lanes=(1, 4), shared=True, fine=True, vector_field=True)
    ),
    "correlator_fine_image": Correlator(*bundle_of("image", (1, 8, 6), 2, kernel=3, lanes=(1, 1), fine=True)),
    "correlator_short": Correlator(*bundle_of("dense", (3, 1, 1), 2, lanes=(1, 1), window_log2=1)),
}


@cocotb.test()
async def updates_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle, spec = unit.config, unit.bundle, unit.config.spec
    f, lanes, word = spec.formats, config.lanes[bundle.index], update_word(config, bundle)
    source = FlowSource(dut, f"{name}__i")
    entries, monitor = Monitor(dut, f"{name}__i"), Monitor(dut, f"{name}__o")
    rates = [getattr(dut, f"{name}__{kind}_rate") for kind in ("weight", "bias")]
    shifts = spec.weight_shift(bundle), spec.bias_shift
    top = spec.formats.one << spec.schedule.window_log2
    pre_top = {"dense": top, "conv": 4 * top, "image": 4 * ((1 << f.pixel_bits) - 1)}[bundle.kind]
    bounds = Bounds(bool(spec.schedule.fine), spec.products(bundle) == 1, pre_top, top)
    assert pre_top < 1 << pre_bits(config, bundle)
    # the largest number of items of a g: one per pooled position
    longest, cycles, rng = bundle.post.positions, config.item_cycles(bundle), generator()
    # the smallest: the lanes of a sum must have left the scalers before the next sum is complete
    shortest = -(-unit.turns // cycles)
    ends, extremes = [], {"g": 0, "update": 0}

    top_rate = (1 << f.rate_bits) - 1
    for rate in (0, 1, top_rate, *[None] * 12):
        sums = draw_sums(rng, lanes, bounds, shortest, longest)
        if rate is None:
            chosen = [finest_rate(f, all_of(sums, bias), shift) for bias, shift in enumerate(shifts)]
        else:
            chosen = (
                [rate, rate]
                if rate == top_rate
                else random.sample((rate, random.getrandbits(f.rate_bits)), 2)
            )
        for port, value in zip(rates, chosen, strict=True):
            port.value = value
        words: list[int] = []
        expected = []
        for one in sums:
            extremes["g"] = max(extremes["g"], 0 if one.bias else int(one.g.abs().max()))
            update = ops.update(one.g, chosen[one.bias], shifts[one.bias], f.update_bound)
            extremes["update"] = max(extremes["update"], int(update.abs().max()))
            address = random.randrange(layout.master_words(config, bundle))
            expected.append((address, update))
            words += [bits for bits in item_words(config, bundle, address, one) for _ in range(cycles)]
            ends.append(len(entries.words) + len(words) - 1)
        done = len(monitor.words)
        await source.send(words, gap=random.choice((0.0, 0.3)) if cycles == 1 else 0.0)
        got = [word.from_bits(bits) for bits in (await monitor.wait(done + len(expected)))[done:]]
        where = f"{name}, rates {chosen}"
        expect(f"{where}, address", [w.address for w in got], [address for address, _ in expected], ("g",))
        expect(
            f"{where}, update",
            [list(w.update) for w in got],
            [update.tolist() for _, update in expected],
            ("g", "lane"),
        )
    assert monitor.cycles == [entries.cycles[n] + unit.latency for n in ends], (
        f"{name}: latency isn't {unit.latency}"
    )
    assert extremes == {"g": spec.correlation_bound(bundle), "update": f.update_bound}, (
        f"{name}: only reached {extremes}"
    )


class Bounds(NamedTuple):
    """Ranges of the factors: sums of both phases or, with fine spikes, means and differences."""

    fine: bool
    single: bool
    pre_top: int
    top: int

    @property
    def sign(self) -> int:
        """Sign of the second product in g; 0 if there is one product."""
        return 0 if self.single else 1 if self.fine else -1

    def ranges(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return (low, high) of both pre factors, and of both post factors."""
        pre, post = (0, self.pre_top), (0, self.top)
        if not self.fine:
            return [pre, pre], [post, post]
        difference = (-2 * self.top, 2 * self.top)
        return [pre, pre if self.single else (-2 * self.pre_top, 2 * self.pre_top)], [difference, post]


class Sum(NamedTuple):
    """A sum g (lane) of a bias or weights, with its factors: pre (phase, item), post (phase, item, lane)."""

    bias: int
    pre: torch.Tensor
    post: torch.Tensor
    g: torch.Tensor


def draw_sums(rng, lanes: int, bounds: Bounds, shortest: int, longest: int) -> list[Sum]:
    """Draw two sums with as many items as possible, at the upper and at the lower bound; then random ones."""
    sums = []
    for kind in ("high", "low", *["random"] * 12):
        bias = int(kind == "random" and random.random() < 0.3)
        count = longest if kind != "random" else random.randint(shortest, longest)
        pre, post = _factors(rng, kind, count, lanes, bounds)
        both = pre[0][:, None] * post[0] + bounds.sign * pre[1][:, None] * post[1]
        g = (post[0] if bounds.sign >= 0 else post[0] - post[1]).sum(0) if bias else both.sum(0)
        sums.append(Sum(bias, pre, post, g))
    return sums


def all_of(sums: list[Sum], bias: int) -> torch.Tensor:
    """Return g of all biases or of all weights."""
    return torch.cat([torch.zeros(0, dtype=torch.int64), *(one.g for one in sums if one.bias == bias)])


def item_words(config, bundle, address: int, one: Sum) -> list[int]:
    """Return the items of a sum as words of the correlator's input."""
    shape, products, count = item(config, bundle), config.spec.products(bundle), one.pre.shape[1]
    return [
        shape.const(
            {
                "address": address,
                "bias": one.bias,
                "first": int(n == 0),
                "last": int(n == count - 1),
                "pre": one.pre[:products, n].tolist(),
                "post": one.post[:products, n].tolist(),
            }
        ).as_bits()
        for n in range(count)
    ]


def _factors(rng, kind, count, lanes, bounds):
    """Return pre (phase, item) and post (phase, item, lane) for the largest, smallest or a random g."""
    ranges = bounds.ranges()
    if kind == "random":
        pre, post = (
            np.stack([rng.integers(low, high, shape, endpoint=True) for low, high in side])
            for side, shape in zip(ranges, ((count,), (count, lanes)), strict=True)
        )
        return torch.from_numpy(pre), torch.from_numpy(post)
    # the largest or the smallest sum of products; with unsigned factors one product is 0
    high = kind == "high"
    factors: tuple[list[int], ...]
    if bounds.fine:
        first, second = (1, 1) if high else (0, 1)
        factors = [ranges[0][0][1], ranges[0][1][high]], [ranges[1][0][first], ranges[1][1][second]]
    else:
        factors = tuple([side[0][1] * high, side[1][1] * (not high)] for side in ranges)
    of_pre, of_post = map(torch.tensor, factors)
    return of_pre[:, None].expand(2, count), of_post[:, None, None].expand(2, count, lanes)
