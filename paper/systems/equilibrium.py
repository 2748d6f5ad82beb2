"""Equilibrium propagation, eq. 4, 5 and 11: the update from the states at the ends of two phases.

Eq. 4 and 5 give the gradient of the loss, since dE/dw = -rho rho; eq. 11 has the opposite sign. Here eq. 11
is added to w.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .network import Network, Parameters, products
from .neuron import Dynamics
from .phases import Averages, averages, output


class Update(NamedTuple):
    """The update and the predictions of a batch."""

    #: Change of the parameters, mean over the batch, before multiplication by the learning rates.
    delta: Parameters
    #: Predicted classes (batch,), of the free phase.
    predictions: Tensor


@torch.no_grad()
def update(
    network: Network,
    dynamics: Dynamics,
    parameters: Parameters,
    pixels: Tensor,
    labels: Tensor,
    sign: int = 1,
    averages: Averages = averages,
) -> Update:
    """Return the update of a batch of B samples, C_n the correlation `network.products` of link n = 1..N:

    three phases: delta w_n = (C_n(+beta) - C_n(-beta)) / (2 beta B f^(N-n))
    two phases:   delta w_n = (C_n(sign beta) - C_n(free)) / (sign beta B f^(N-n))

    and biases likewise, with the sum of xi over the positions in place of C. f is `network.feedback`: a nudge
    shrinks by f in each layer that it passes on its way down. Link 1 reads the pixels. A readout has the
    gradient of its cross-entropy, mean over the nudged states.

    sign: of beta, in two phases. averages: implementation of the phases.
    """
    signs = (1, -1) if dynamics.three_phases else (sign,)
    xi = averages(network, dynamics, parameters, pixels, labels, signs)
    predictions = output(network, parameters, xi["free"][-1]).argmax(1)
    names = ["plus" if s > 0 else "minus" for s in signs]
    first, second = xi[names[0]], xi[names[1] if dynamics.three_phases else "free"]
    scale = 1 / ((2 if dynamics.three_phases else sign) * dynamics.beta * len(pixels))
    weights, biases = [], []
    for n, link in enumerate(network.dynamic):
        size = scale / network.feedback ** (len(network.dynamic) - 1 - n)
        pre = (pixels, pixels) if n == 0 else (first[n - 1], second[n - 1])
        w = parameters.weights[n]
        weights.append(size * (products(link, pre[0], first[n], w) - products(link, pre[1], second[n], w)))
        biases.append(size * (first[n] - second[n]).sum((0, 2, 3)))
    if network.softmax:  # the readout: gradient of the loss at the nudged states
        target = functional.one_hot(labels, network.classes).to(pixels.dtype)
        states = [xi[name][-1].flatten(1) for name in names]
        errors = [target - output(network, parameters, state) for state in states]
        share = 1 / (len(names) * len(pixels))
        zero_w, zero_b = torch.zeros_like(parameters.weights[-1]), torch.zeros_like(parameters.biases[-1])
        weights.append(share * sum((e.T @ state for e, state in zip(errors, states, strict=True)), zero_w))
        biases.append(share * sum((e.sum(0) for e in errors), zero_b))
    return Update(Parameters(tuple(weights), tuple(biases)), predictions)
