"""Each block's function equals torch's layers in float64; limits of rounding, clipping and saturation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec
from nudge.golden.model import ops
from nudge.golden.model.ops import State

from .random_nets import network_case

F = Formats()
TINY = PRESETS["tiny"]

#: Conv bundles of presets and random nets, with even and odd maps.
CONVS = [
    b for spec in (*PRESETS.values(), *(network_case(seed).spec for seed in range(12))) for b in spec.bundles
]
CONVS = [b for b in CONVS if b.kind == "conv" and b.weights < 10_000]
DENSE = PRESETS["small"].bundles[2]


def operands(bundle: Bundle, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return random weights, and random spikes of both layers."""
    random = np.random.default_rng(seed)
    w = torch.from_numpy(random.integers(F.weight_low, F.weight_high + 1, bundle.weight_shape))
    pre, post = (
        torch.from_numpy(random.integers(0, 2, (3, *layer.shape))) for layer in (bundle.pre, bundle.post)
    )
    return w, pre, post


def tensor(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_there_are_odd_and_even_maps():
    assert {b.map_height % 2 for b in CONVS} == {0, 1}


@pytest.mark.parametrize("bundle", CONVS, ids=lambda b: f"{b.map_height}x{b.map_width}k{b.kernel}")
def test_conv_blocks_are_torchs(bundle: Bundle):
    w, pre, post = operands(bundle)
    conv = functional.conv2d(pre.double(), w.double())
    assert torch.equal(ops.convolution(pre, w).double(), conv)
    assert torch.equal(ops.average_pool(ops.convolution(pre, w)).double(), 4 * functional.avg_pool2d(conv, 2))
    assert torch.equal(ops.conv_forward(pre, w).double(), 4 * functional.avg_pool2d(conv, 2))
    unpooled = ops.upsample(post, bundle)
    assert unpooled.shape == (3, bundle.post.channels, bundle.map_height, bundle.map_width)
    assert int(unpooled.sum()) == 4 * int(post.sum())
    assert torch.equal(ops.average_pool(unpooled), 4 * post)
    assert torch.equal(
        ops.conv_backward(post, w, bundle).double(),
        functional.conv_transpose2d(unpooled.double(), w.double()),
    )


@pytest.mark.parametrize("bundle", [*CONVS, DENSE], ids=lambda b: f"{b.kind}{b.map_height}k{b.kernel}")
def test_the_two_directions_are_adjoint_integers(bundle: Bundle):
    w, pre, post = operands(bundle, 1)
    if bundle.kind == "dense":
        there, back = ops.dense_forward(pre, w), ops.dense_backward(post, w)
    else:
        there, back = ops.conv_forward(pre, w), ops.conv_backward(post, w, bundle)
    assert int((there * post.reshape(there.shape)).sum()) == int((pre.reshape(back.shape) * back).sum()) != 0


def test_dense_blocks():
    w, pre, post = operands(DENSE)
    assert torch.equal(ops.dense_forward(pre, w), 4 * torch.einsum("oi,bi->bo", w, pre.flatten(1)))
    assert torch.equal(ops.dense_backward(post, w), 4 * torch.einsum("oi,bo->bi", w, post.flatten(1)))


@pytest.mark.parametrize("weight", [F.weight_low, F.weight_high])
def test_drives_stay_within_their_bounds(weight):
    """All weights are at one extreme and all inputs spike; the lowest weight reaches the bound."""
    for spec in (PRESETS["tiny"], PRESETS["small"]):
        phi: list[torch.Tensor] = [torch.zeros(1, dtype=torch.int64)] * len(spec.layers)
        for b in spec.bundles:
            w = torch.full(b.weight_shape, weight)
            pre, post = (torch.ones((1, *layer.shape), dtype=torch.int64) for layer in (b.pre, b.post))
            if b.kind == "image":
                phi[1] = ops.static_drive(255 * pre, w, spec)
            elif b.kind == "conv":
                phi[b.index] = ops.conv_forward(pre, w)
                phi[b.index - 1] = phi[b.index - 1] + ops.conv_backward(post, w, b)
            else:
                phi[b.index] = ops.dense_forward(pre, w).reshape(1, *b.post.shape)
                phi[b.index - 1] = phi[b.index - 1] + ops.dense_backward(post, w).reshape(1, *b.pre.shape)
        for layer in spec.layers[1:]:
            largest = int(phi[layer.index].abs().max())
            assert largest <= layer.phi_bound
            if weight == F.weight_low:
                assert largest >= layer.phi_bound - 1, (
                    f"{spec.name} layer {layer.index}: the bound is not tight"
                )


def test_static_drive_rounds_half_up():
    w = torch.zeros(4, 1, 3, 3, dtype=torch.int64)
    w[:, 0, 0, 0] = tensor(1, -1, 3, -3)
    pixels = torch.zeros(1, 1, 28, 28, dtype=torch.int64)
    pixels[0, 0, :2, :2] = 32  # four products of 32 under pooled position (0, 0): 128, half an LSB
    drive = ops.static_drive(pixels, w, TINY)
    assert drive[0, :, 0, 0].tolist() == [1, 0, 2, -1]
    assert drive.shape == (1, 4, 13, 13)
    assert int(drive.abs().sum()) == 4


@pytest.mark.parametrize(
    ("value", "shift", "expected"), [(127, 8, 0), (128, 8, 1), (-128, 8, 0), (-129, 8, -1), (-384, 8, -1)]
)
def test_round_half_up(value, shift, expected):
    assert ops.rhu(tensor(value), shift).tolist() == [expected]


def step(
    phi: int, d: int = 0, U: int = 0, bias: int = 0, nudged: int | None = None, spec: Spec = TINY
) -> tuple[int, ...]:
    """Step one neuron once; return (d, U, s, xi)."""
    state = State(*(torch.full((1, 1, 1, 1), v) for v in (d, U, 0, 0)))
    out = ops.neuron(
        state,
        torch.full((1, 1, 1, 1), phi),
        torch.full((1, 1, 1), bias),
        None if nudged is None else tensor(nudged),
        spec,
    )
    return tuple(int(x) for x in out)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # phi 100 is 800 in d's LSB, half of it with lambda 1/2; xi = rhu(400, 4)
        ({"phi": 100}, (400, 25, 0, 25)),
        # d falls to floor(-1/2) + 1 = 0
        ({"phi": 0, "d": 1}, (0, 0, 0, 0)),
        # the comparison is strict: 2 xi = 128 is no spike, 2 xi = 130 is one
        ({"phi": 0, "bias": 64 * 16}, (0, 64, 0, 64)),
        ({"phi": 0, "bias": 65 * 16}, (0, 65 - 256, 1, 65)),
        ({"phi": 0, "bias": 64 * 16, "U": 1}, (0, 65 - 256, 1, 64)),
        # xi rounds half up and is clipped to 0..256
        ({"phi": 0, "bias": 7}, (0, 0, 0, 0)),
        ({"phi": 0, "bias": 8}, (0, 1, 0, 1)),
        ({"phi": 0, "bias": -4096}, (0, 0, 0, 0)),
        ({"phi": 3000, "bias": 0}, (12000, 0, 1, 256)),
        # d saturates to 16 bits
        ({"phi": 100_000, "d": 32767}, (32767, 0, 1, 256)),
        ({"phi": -100_000, "d": -32768}, (-32768, 0, 0, 0)),
        # bias and nudge are added without saturation
        ({"phi": 0, "bias": 4095, "nudged": -4090}, (0, 0, 0, 0)),
        ({"phi": 0, "bias": 4095, "nudged": -4087}, (0, 1, 0, 1)),
    ],
)
def test_neuron_corners(given, expected):
    assert step(**given) == expected


@given(
    st.integers(-(1 << 14), 1 << 14),
    st.integers(F.decoder_low, F.decoder_high),
    st.integers(TINY.membrane_low, TINY.membrane_high),
    st.integers(F.bias_low, F.bias_high),
)
@settings(max_examples=200, deadline=None)
def test_membrane_range_is_invariant(phi, d, U, bias):
    d, U, s, xi = step(phi, d, U, bias)
    assert TINY.membrane_low <= U <= TINY.membrane_high
    assert F.decoder_low <= d <= F.decoder_high
    assert s in (0, 1)
    assert 0 <= xi <= F.one


def test_neuron_leaves_its_arguments_alone():
    arguments = [torch.full((2, 3, 1, 1), v) for v in (5, 6, 1, 7)]
    copies = [x.clone() for x in arguments]
    phi, bias, nudged = torch.full((2, 3, 1, 1), 90), torch.full((3, 1, 1), 4), torch.full((2, 3, 1, 1), 9)
    ops.neuron(State(*arguments), phi, bias, nudged, TINY)
    assert all(torch.equal(a, b) for a, b in zip(arguments, copies, strict=True))
    assert phi.unique().tolist() == [90]
    assert (bias.unique().tolist(), nudged.unique().tolist()) == ([4], [9])


def test_nudge_floors():
    xi = tensor(0, 1, 255, 256)
    assert ops.nudge(xi, tensor(256, 0, 256, 0), 3, 1, F).tolist() == [48, -1, 0, -48]
    assert ops.nudge(xi, tensor(256, 0, 256, 0), 3, -1, F).tolist() == [-48, 0, -1, 48]


@pytest.mark.parametrize("bundle", PRESETS["small"].bundles, ids=lambda b: b.kind + str(b.index))
def test_correlation_is_the_gradient_of_the_energy(bundle: Bundle):
    """It is d/dw <post, forward(pre, w)> by autograd, plus minus minus phase; full sums reach the bound."""
    spec = PRESETS["small"]
    top = F.one << spec.schedule.window_log2
    random = np.random.default_rng(0)
    pre_top = 255 if bundle.kind == "image" else top

    def sums(shape: tuple[int, ...], largest: int) -> torch.Tensor:
        return torch.from_numpy(random.integers(0, largest + 1, (2, *shape)))

    pre = [sums(bundle.pre.shape, pre_top) for _ in range(2)]
    post = [sums(bundle.post.shape, top) for _ in range(2)]
    weight, bias = ops.correlation(bundle, pre[0], post[0], pre[1], post[1])
    assert weight.shape == (2, *bundle.weight_shape)
    for n in range(2):
        w = torch.zeros(bundle.weight_shape, dtype=torch.float64, requires_grad=True)
        energy = torch.zeros((), dtype=torch.float64)
        for sign, x, y in ((1, pre[0], post[0]), (-1, pre[1], post[1])):
            if bundle.kind == "dense":
                drive = w @ x[n].flatten().double()
            else:
                drive = 4 * functional.avg_pool2d(functional.conv2d(x[n : n + 1].double(), w), 2)
            energy = energy + sign * (drive.flatten() * y[n].flatten()).sum()
        (expected,) = torch.autograd.grad(energy, w)
        assert torch.equal(weight[n].double(), expected)
    assert torch.equal(bias, (post[0] - post[1]).sum(dim=(2, 3)))
    full = torch.full((1, *bundle.pre.shape), pre_top), torch.full((1, *bundle.post.shape), top)
    none = torch.zeros_like(full[0]), torch.zeros_like(full[1])
    assert int(ops.correlation(bundle, *full, *none)[0].max()) == spec.correlation_bound(bundle)
    assert int(ops.correlation(bundle, *none, *full)[0].min()) == -spec.correlation_bound(bundle)


def test_update_rounds_half_up_and_clips():
    g = tensor(0, 1, -1, 3, -3, 1 << 20, -(1 << 20))
    assert ops.update(g, 2, 2, F.update_bound).tolist() == [0, 1, 0, 2, -1, 1536, -1536]


def test_working_copies_and_commit():
    masters = tensor(-40000, -32768, -129, -128, 127, 128, 32639, 32640, 32767, 40000)
    committed = ops.commit(masters, F)
    assert committed.tolist() == [-32768, -32768, -129, -128, 127, 128, 32639, 32640, 32767, 32767]
    assert ops.working_weight(committed, F).tolist() == [-128, -128, -1, 0, 0, 1, 127, 127, 127, 127]
    assert ops.working_bias(tensor(-32768, -5, -4, 3, 4, 32763, 32764, 32767), F).tolist() == [
        -4096,
        -1,
        0,
        0,
        1,
        4095,
        4095,
        4095,
    ]


def test_a_sum_beyond_float64_is_refused():
    with pytest.raises(AssertionError, match=r"float64 is exact below 2\^53"):
        ops.matmul(torch.full((1, 1, 2), 1 << 26), torch.full((2, 1), 1 << 26))
