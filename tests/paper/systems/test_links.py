"""Drives between layers and back, eq. 9 and 12 to 16, equal formulas written out here, or autograd."""

from dataclasses import replace

import pytest
import torch

from nudge.paper.systems import pooling
from nudge.paper.systems.network import Link, backward, fold, forward, products

from .small_systems import inner, random

#: Square and oblong, even and odd; 26 -> 13 and 11 -> 5 are 2C2FC's.
SIZES = [(2, 2), (4, 7), (5, 4), (11, 11), (26, 26)]


@pytest.mark.parametrize("size", SIZES)
def test_pooling_is_as_written(size):
    """Eq. 12 to 16, index by index; the last odd row and column take no part."""
    h, w = size
    x, y = random(1, 2, h, w), random(1, 2, h // 2, w // 2)
    largest, where = pooling.maximum(x)
    average, spread = pooling.average(x), pooling.spread(y, size, alpha=3.0)
    unpooled = pooling.unpool(y, where, size)
    zones = {
        (i, j): [(2 * i + p, 2 * j + q) for p in (0, 1) for q in (0, 1)]
        for i in range(h // 2)
        for j in range(w // 2)
    }
    for c in range(2):
        for (i, j), places in zones.items():
            values = [float(x[0, c, a, b]) for a, b in places]
            assert float(average[0, c, i, j]) == pytest.approx(sum(values) / 4, rel=1e-12, abs=1e-15)
            assert float(largest[0, c, i, j]) == max(values)
            for (a, b), value in zip(places, values, strict=True):
                assert float(spread[0, c, a, b]) == pytest.approx(float(y[0, c, i, j]) / 3)
                assert float(unpooled[0, c, a, b]) == (float(y[0, c, i, j]) if value == max(values) else 0.0)
    for each in (spread, unpooled):
        assert not each[..., 2 * (h // 2) :, :].any()
        assert not each[..., 2 * (w // 2) :].any()


@pytest.mark.parametrize("size", SIZES)
def test_pooling_and_its_inverse_are_adjoint(size):
    """<P x, y> = <x, P^-1 y>: for the average only with alpha = F^2, for the maximum at the kept indices."""
    x, y = random(2, 3, *size), random(2, 3, size[0] // 2, size[1] // 2)
    there = inner(pooling.average(x), y)
    assert there == pytest.approx(inner(x, pooling.spread(y, size)), rel=1e-12)
    assert there == pytest.approx(inner(x, pooling.spread(y, size, alpha=2.0)) / 2, rel=1e-12)
    largest, where = pooling.maximum(x)
    assert inner(largest, y) == pytest.approx(inner(x, pooling.unpool(y, where, size)), rel=1e-12)


#: Even and odd maps before pooling: kernel, padding and side of the layer below.
CONVOLUTIONS = [(3, 0, 28), (3, 0, 13), (5, 0, 12), (2, 0, 8), (4, 1, 8), (3, 1, 14), (3, 1, 7), (3, 1, 3)]


def convolution(kind: str, folded: bool, kernel: int, padding: int, side: int) -> Link:
    pooled = (side + 2 * padding - kernel + 1) // 2
    return Link(kind, (3, side, side), (4, pooled, pooled), kernel, padding, fold=folded)


@pytest.mark.parametrize(("kind", "folded"), [("average", False), ("average", True), ("maximum", False)])
@pytest.mark.parametrize(("kernel", "padding", "side"), CONVOLUTIONS)
def test_the_way_back_and_the_update_are_derivatives_of_the_way_there(kind, folded, kernel, padding, side):
    """The terms of eq. 9 and a term of eq. 11 are the derivatives of <P(w * x), y> by x and by w."""
    link = convolution(kind, folded, kernel, padding, side)
    x, w = random(2, *link.pre, seed=1).requires_grad_(), random(*link.weight_shape, seed=2).requires_grad_()
    y = random(2, *link.post, seed=3)
    used = fold(w) if folded else w
    there, indices = forward(link, x, used)
    to_x, to_w = torch.autograd.grad((there * y).sum(), (x, w))
    assert torch.allclose(backward(link, y, used, indices), to_x, rtol=1e-10, atol=1e-12)
    assert torch.allclose(products(link, x.detach(), y, w.detach()), to_w, rtol=1e-10, atol=1e-12)
    back = inner(x.detach(), backward(link, y, used, indices).detach())
    assert inner(there.detach(), y) == pytest.approx(back, rel=1e-10)


@pytest.mark.parametrize(("kernel", "padding", "side"), CONVOLUTIONS)
@pytest.mark.parametrize("alpha", [4.0, 1.0])
def test_folding_changes_nothing(kernel, padding, side, alpha):
    plain = replace(convolution("average", False, kernel, padding, side), alpha=alpha)
    folded = replace(plain, fold=True)
    w, x, y = random(*plain.weight_shape), random(2, *plain.pre, seed=1), random(2, *plain.post, seed=2)
    assert torch.allclose(forward(plain, x, w)[0], forward(folded, x, fold(w))[0], atol=1e-12)
    assert torch.allclose(backward(plain, y, w, None), backward(folded, y, fold(w), None), atol=1e-12)


def test_dense_links_reshape_the_last_map():
    """Eq. 9 for the last convolution's layer: W^T s of the dense link, in the layer's shape, not unpooled."""
    link = Link("dense", (2, 5, 5), (7, 1, 1))
    w, x, y = random(*link.weight_shape), random(3, *link.pre), random(3, *link.post)
    back = backward(link, y, w, None)
    assert back.shape == x.shape
    assert inner(forward(link, x, w)[0], y) == pytest.approx(inner(x, back), rel=1e-12)
