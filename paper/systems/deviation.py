"""Nudged phases whose spikes say how far a layer is from where the free phase ended: fine ones, of either sign.

A nudge moves the layers below the output by little. In spikes that are worth 1 it is lost among those that all drives are made
of. So drives stay as the free phase left them, and what is sent is the rest: a spike of layer n is worth +-2^-fine, which is
small where the nudge has come far. Not of the paper; docs/log/2026-11-29-fine-spikes.md has the figures.
"""

import torch
from torch import Tensor

from .neuron import Dynamics, State, moved


def unit(dynamics: Dynamics, n: int) -> float:
    """What a spike of layer n of 1..N is worth."""
    assert dynamics.fine is not None
    return 2.0 ** -dynamics.fine[n - 1]


def begin(layers: list[State], dynamics: Dynamics) -> list[State]:
    """Layers 0..N at the start of a nudged phase: there is no deviation, so the image sends nothing any more.

    A membrane potential within +-1/2 of a spike is within as much of a fine one, so that neurons don't fire in step.
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
    """One step of layer n, as `neuron.neuron`. d, V and s are of the deviation, xi is whole; phi is of the neighbours' s.

    base: its state at the end of the free phase. nudge: a number if there is none, 0.
    """
    d = torch.lerp(state.d, phi, dynamics.prediction)
    xi = moved(state.xi, d + base.d + bias, nudge, dynamics)
    worth = unit(dynamics, n)
    x = state.V + torch.lerp(state.xi - base.xi, xi - base.xi, 1 / dynamics.prediction)
    s = worth * ((x > worth / 2).to(x.dtype) - (x < -worth / 2).to(x.dtype))
    return State(d, x - s, s, xi)
