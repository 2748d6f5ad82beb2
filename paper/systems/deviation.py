"""Nudged phases with fine spikes, which encode a layer's deviation from the end of the free phase.

A nudge moves the layers below the output only a little, and is lost among spikes of weight 1. Here the drives
of the end of the free phase stay constant, and spikes encode only the change: a spike of layer n has the
weight +-2^-fine[n-1], smaller for layers further from the output. Not in the paper; figures are in
docs/log/2026-11-29-fine-spikes.md.
"""

import torch
from torch import Tensor

from .neuron import Dynamics, State, moved


def unit(dynamics: Dynamics, n: int) -> float:
    """Return the weight of a spike of layer n = 1..N: 2^-fine[n-1]."""
    assert dynamics.fine is not None
    return 2.0 ** -dynamics.fine[n - 1]


def begin(layers: list[State], dynamics: Dynamics) -> list[State]:
    """Return layers 0..N at the start of a nudged phase, with deviation 0; the image sends nothing any more.

    The membrane potential becomes unit * clip(V, -1/2, 1/2): it keeps its distance to the threshold in units
    of a spike, so that neurons don't all fire in the same step.
    """
    first, *others = layers
    zeros = [torch.zeros_like(layer.xi) for layer in layers]
    begun = [
        State(zero, unit(dynamics, n) * layer.V.clamp(-0.5, 0.5), zero, layer.xi)
        for n, (layer, zero) in enumerate(zip(others, zeros[1:], strict=True), start=1)
    ]
    return [State(zeros[0], first.V, zeros[0], first.xi), *begun]


def neuron(
    state: State, base: State, phi: Tensor, bias: Tensor, nudge: Tensor | float, dynamics: Dynamics, n: int
) -> State:
    """Return the state of layer n after one step, as `neuron.neuron`, with d, V and s of the deviation:

    d[t+1] = (1 - lambda) d[t] + lambda phi[t];  xi[t+1] by `moved`, from the drive d[t+1] + base.d + bias
    x = V[t] + (D[t+1] - (1 - lambda) D[t]) / lambda,  D = xi - base.xi
    s[t+1] = +unit if x > unit/2, -unit if x < -unit/2, else 0;  V[t+1] = x - s[t+1]

    base: state of layer n at the end of the free phase. phi: drive by the neighbours' s. nudge: the number 0
    if there is none.
    """
    d = torch.lerp(state.d, phi, dynamics.prediction)
    xi = moved(state.xi, d + base.d + bias, nudge, dynamics)
    worth = unit(dynamics, n)
    x = state.V + torch.lerp(state.xi - base.xi, xi - base.xi, 1 / dynamics.prediction)
    s = worth * ((x > worth / 2).to(x.dtype) - (x < -worth / 2).to(x.dtype))
    return State(d, x - s, s, xi)
