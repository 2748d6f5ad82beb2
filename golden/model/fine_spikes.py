"""Nudged phases with fine spikes: each layer's state is its deviation from the end of the free phase.

Exact integers, as everywhere in `golden.model.ops`; a batch is the first dimension.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec

from .ops import State, rhu


class Base(NamedTuple):
    """State of a layer at the end of the free phase, from which deviations are measured."""

    #: d + bias, LSB 2^-12.
    v: Tensor
    #: 0..256, LSB 2^-8.
    xi: Tensor


def begin_deviation(state: State, bias: Tensor, spec: Spec, k: int) -> tuple[State, Base]:
    """Return a layer's state at the start of a nudged phase with fine spikes, and its base.

        V = clip(U + (xi << k) - xi, -threshold, threshold);  d = s = xi = 0

    V carries the pending part of a spike over into fine spikes, up to half of one, so that neurons don't fire
    in step. k: exponent of the free phase's last lambda.
    """
    f, zero = spec.formats, torch.zeros_like(state.d)
    V = (state.U + (state.xi << k) - state.xi).clamp(-f.threshold, f.threshold)
    return State(zero, V, zero, zero), Base(state.d + bias, state.xi)


def deviation(
    state: State, base: Base, phi: Tensor, nudged: Tensor | None, spec: Spec, n: int, shift: int, k: int
) -> State:
    """One step of layer n in a nudged phase with fine spikes.

        d[t+1]  = clip(d[t] + (((phi << shift) - d[t]) >> k), decoder_low, decoder_high)
        moved   = clip(rhu((v << m) + d[t+1] + (nudge << m), round_shift), 0, one << m)
        still   = clip(rhu(v << m, round_shift), 0, one << m)
        xi[t+1] = clip(moved - still, -one, one)
        s[t+1]  = (U[t] + (xi[t+1] << k) > threshold) - (U[t] + (xi[t+1] << k) < -threshold)
        U[t+1]  = U[t] + xi[t+1] - one s[t+1]

    With `Schedule.linear_output` the output has xi[t+1] = clip(rhu(d[t+1] + (nudge << m), round_shift), -one,
    one). The state is the deviation from `base`, where v is `base.v`, in units of 2^-m with m =
    `Schedule.fine` of the layer: d LSB 2^-(12+m), U and xi LSB 2^-(8+m); xi is within +-256, s is -1, 0 or 1.
    phi: drive by the neighbours' fine spikes; shift: its left shift to d's LSB. nudged, k: as in
    `ops.neuron`.
    """
    f, m = spec.formats, spec.schedule.fine[n - 1]
    d = (state.d + (((phi << shift) - state.d) >> k)).clamp(f.decoder_low, f.decoder_high)
    driven = d if nudged is None else d + (nudged << m)
    whole, before = (
        rhu(x, f.round_shift).clamp(0, f.one << m) for x in ((base.v << m) + driven, base.v << m)
    )
    linear = spec.schedule.linear_output and n == len(spec.bundles)
    xi = (rhu(driven, f.round_shift) if linear else whole - before).clamp(-f.one, f.one)
    weighed = state.U + (xi << k)
    s = (weighed > f.threshold).to(xi.dtype) - (weighed < -f.threshold).to(xi.dtype)
    return State(d, state.U + xi - (s << f.state_fraction), s, xi)


def whole(xi: Tensor, base: Base, spec: Spec) -> Tensor:
    """Return the output layer's xi, LSB 2^-8, from its deviation: base.xi + (xi >> m), rounded down."""
    return base.xi + (xi >> spec.schedule.fine[-1])


def deviation_sums(
    bundle: Bundle, spec: Spec, free: tuple[Tensor, ...], plus: tuple[Tensor, ...], minus: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the operands of `ops.correlation` for a bundle above the first, in networks with fine spikes.

    Arguments: window sums by layer, of the free phase and of both deviations. Result: (S pre, D post, D pre,
    -S post) with

        D = plus - minus               (D pre in units of the post layer's spikes; 0 with `vector_field`)
        S = `mean_sum`, the window sum in the mean of the nudged phases

    `ops.correlation` then computes S pre D post + D pre S post, the difference of the nudged phases'
    products, in units of the post layer's spikes.
    """
    pre, post = bundle.index - 1, bundle.index
    D_pre, D_post = (plus[n - 1] - minus[n - 1] for n in (pre, post))
    S_pre, S_post = (mean_sum(spec, n, free[n - 1], plus[n - 1], minus[n - 1]) for n in (pre, post))
    changed = torch.zeros_like(D_pre) if spec.schedule.vector_field else above(spec, pre, D_pre)
    return S_pre, D_post, changed, -S_post


def mean_sum(spec: Spec, n: int, free: Tensor, plus: Tensor, minus: Tensor) -> Tensor:
    """Window sum of layer n's xi in the mean of the nudged phases, m = `Schedule.fine` of the layer:

    S = clip(free + ((plus + minus) >> (m + 1)), 0, one << window_log2)
    """
    top = spec.formats.one << spec.schedule.window_log2
    return (free + ((plus + minus) >> (spec.schedule.fine[n - 1] + 1))).clamp(0, top)


def above(spec: Spec, n: int, difference: Tensor) -> Tensor:
    """Convert a difference from units of layer n's spikes to those of layer n+1's, rounded half up.

    Spikes of layer n+1 are as large or larger: their binary point is as low or lower.
    """
    points = spec.schedule.fine
    lost = points[n - 1] - points[n]
    return rhu(difference, lost) if lost else difference
