# amaranth: UnusedElaboratable=no
"""Folded kernels against the sum of four shifted kernels: both memories whole, after each preparation, and its cycles."""

import cocotb
import pytest
import torch
from torch import Tensor

from hw import layout
from hw.folded_kernels import KERNEL, SIDE, FoldedKernels

from .reference import bundle_of, each, expect, integers, run_part, tile_words
from .streams import Port, serve_memory, start, unpack

UNITS = {
    "folded_one": FoldedKernels(*bundle_of("conv", (1, 4, 4), 1, kernel=3)),
    "folded_lanes": FoldedKernels(*bundle_of("conv", (4, 5, 6), 3, kernel=3, lanes=(2, 3))),
    "folded_groups": FoldedKernels(*bundle_of("conv", (3, 6, 5), 4, kernel=3, lanes=(3, 2))),
}


def fold(w: Tensor) -> Tensor:
    """Convolution and 2x2 sum as one kernel: (post, pre, SIDE, SIDE)."""
    folded = w.new_zeros((*w.shape[:2], SIDE, SIDE))
    for dy in range(2):
        for dx in range(2):
            folded[..., dy : dy + KERNEL, dx : dx + KERNEL] += w
    return folded


@cocotb.test()
async def memories_equal_the_fold(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    f, pre, post = config.spec.formats, bundle.pre, bundle.post
    pre_lanes, post_lanes = config.lanes[pre.index], config.lanes[post.index]
    tiles: list[int] = []
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", tiles)
    for extreme in (f.weight_low, f.weight_high, None, None):
        w = integers(f.weight_low, f.weight_high, bundle.weight_shape)
        if extreme is not None:
            w = torch.full_like(w, extreme)
        tiles[:] = tile_words(config, bundle, w)
        busy = await run_part(port, port.prepare)
        expected = len(tiles) // KERNEL**2 * (KERNEL**2 + 3 + 4 * pre_lanes + 2 * post_lanes)
        assert busy == expected, f"{name}: busy for {busy} cycles, expected {expected}"
        # taps (2 j + s), split into j and s in each direction; channels into group and lane
        taps = fold(w).reshape(config.groups(post), post_lanes, config.groups(pre), pre_lanes, 2, 2, 2, 2)
        # to (pre group, pre lane, sy, sx | post group, jy, jx, post lane)
        forward = taps.permute(2, 3, 5, 7, 0, 4, 6, 1).reshape(4 * pre.channels, -1)
        # to (post group, post lane, jx | pre group, jy, sy, sx, pre lane)
        backward = taps.permute(0, 1, 6, 2, 4, 5, 7, 3).reshape(2 * post.channels, -1)
        for direction, words in (("forward", forward), ("backward", backward)):
            address, data = getattr(port, f"{direction}_address"), getattr(port, direction)
            got = []
            for n in range(len(words)):
                address.value = n
                await port.edge
                await port.edge
                got.append(unpack(int(data.value), len(data) // words.shape[1], words.shape[1], signed=True))
            expect(f"{name}, {direction}", got, words)


@pytest.mark.parametrize(("kind", "kernel"), [("conv", 2), ("conv", 4), ("image", 3)])
def test_another_bundle_is_refused(kind, kernel):
    with pytest.raises(ValueError, match=rf"^FoldedKernels takes a conv bundle of kernel 3, not {kind} of {kernel}$"):
        FoldedKernels(*bundle_of(kind, (1, 6, 6), 1, kernel=kernel))


def test_a_tile_holds_one_kernel():
    config, bundle = UNITS["folded_lanes"].config, UNITS["folded_lanes"].bundle
    assert layout.tiles(config, bundle) == config.groups(bundle.pre) * config.groups(bundle.post) * KERNEL**2
