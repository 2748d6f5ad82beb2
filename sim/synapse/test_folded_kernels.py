# amaranth: UnusedElaboratable=no
"""Folded kernels against sums of four shifted kernels: each weight once per direction, and the cycles."""

from itertools import product

import cocotb
import pytest
import torch
from torch import Tensor

from nudge.golden.contract import layout
from nudge.golden.contract.event_units import SPOTS, backward_place, forward_place
from nudge.hw.synapse.event_layout import KERNEL, SIDE, adder_shape, kernel_word
from nudge.hw.synapse.folded_kernels import FoldedKernels, cycles
from sim.harness.networks import bundle_of
from sim.harness.random_values import integers
from sim.harness.streams import Monitor, Port, serve_memory, start
from sim.harness.units import each, expect, run_part
from sim.harness.words import tile_words

UNITS = {
    "folded_one": FoldedKernels(*bundle_of("conv", (1, 4, 4), 1, kernel=3, events=True)),
    "folded_lanes": FoldedKernels(*bundle_of("conv", (4, 5, 6), 3, kernel=3, lanes=(2, 3), events=True)),
    "folded_groups": FoldedKernels(*bundle_of("conv", (6, 6, 5), 20, kernel=3, lanes=(3, 10), events=True)),
}


def fold(w: Tensor) -> Tensor:
    """Fold a convolution and a 2x2 sum into one kernel (post, pre, SIDE, SIDE)."""
    folded = w.new_zeros((*w.shape[:2], SIDE, SIDE))
    for dy in range(2):
        for dx in range(2):
            folded[..., dy : dy + KERNEL, dx : dx + KERNEL] += w
    return folded


@cocotb.test()
async def weights_equal_the_fold(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    f, pre, post = config.spec.formats, bundle.pre, bundle.post
    pre_lanes, post_lanes = config.lanes[pre.index], config.lanes[post.index]
    words = {way: kernel_word(**adder_shape(config, bundle, way)) for way in ("forward", "backward")}
    monitors = {direction: Monitor(dut, f"{name}__{direction}") for direction in words}
    tiles: list[int] = []
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    for extreme in (f.weight_low, f.weight_high, None, None):
        w = integers(f.weight_low, f.weight_high, bundle.weight_shape)
        if extreme is not None:
            w = torch.full_like(w, extreme)
        tiles[:] = tile_words(config, bundle, w)
        done = {direction: len(monitor.words) for direction, monitor in monitors.items()}
        busy = await run_part(port, port.prepare)
        assert busy == cycles(config, bundle), f"{name}: busy for {busy} cycles"
        taps = fold(w)
        at_forward = {
            forward_place(pre.channels, block, spot, c): (block, spot, c)
            for block, spot, c in product(range(4), range(SPOTS), range(pre.channels))
        }
        at_backward = {
            backward_place(post.channels, block, o): (block, o)
            for block, o in product(range(4), range(post.channels))
        }
        seen = {direction: torch.zeros(taps.shape, dtype=torch.int64) for direction in words}
        got = {direction: torch.full_like(taps, 1 << 20) for direction in words}
        for direction, shape in words.items():
            for bits in monitors[direction].words[done[direction] :]:
                item = shape.from_bits(bits)
                for lane, weight in enumerate(item.weights):
                    if direction == "forward":
                        block, spot, c = at_forward[item.unit, item.index]
                        o = item.chunk * post_lanes + lane
                    else:
                        corner, o = at_backward[item.unit, item.index]
                        block, rest = 3 - corner, item.chunk // pre_lanes
                        spot, c = rest % 2 * 2 + lane, rest // 2 * pre_lanes + item.chunk % pre_lanes
                    at = o, c, block // 2 * 2 + spot // 2, block % 2 * 2 + spot % 2
                    got[direction][at] = weight
                    seen[direction][at] += 1
            expect(f"{name}, {direction}, times written", seen[direction], torch.ones_like(taps))
            expect(f"{name}, {direction}", got[direction], taps, ("post", "pre", "y", "x"))


@pytest.mark.parametrize(("kind", "kernel"), [("conv", 2), ("conv", 4), ("image", 3)])
def test_another_bundle_is_refused(kind, kernel):
    with pytest.raises(
        ValueError, match=rf"^FoldedKernels takes a conv bundle of kernel 3, not {kind} of {kernel}$"
    ):
        FoldedKernels(*bundle_of(kind, (1, 6, 6), 1, kernel=kernel))


def test_a_tile_has_one_pre_channel():
    config, bundle = UNITS["folded_lanes"].config, UNITS["folded_lanes"].bundle
    assert layout.tiles(config, bundle) == layout.weight_words(config, bundle)
