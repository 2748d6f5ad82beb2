"""Equilibrium propagation, eq. 4, 5 and 11: the update from the states at the ends of two phases.

Eq. 4 and 5 are the loss's gradient, as dE/dw = -rho rho, and eq. 11 is minus it: the latter is what is added to w.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from golden.contract.spec import CLASSES

from .network import Network, Parameters, products
from .neuron import Dynamics
from .phases import Averages, averages, output


class Update(NamedTuple):
    """What a batch gives."""

    #: Mean over the batch of what is added to the parameters, before learning rates.
    delta: Parameters
    #: (batch,).
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
    """Three phases: (+beta) - (-beta), over 2 beta. Two phases: (sign beta) - free, over sign beta. Where the feedback isn't 1
    a nudge loses so much in each layer that it passes, and the update of a link below is as many times as large.

    averages: who runs the phases.
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
    if network.softmax:  # the loss's own gradient, at the nudged states
        target = functional.one_hot(labels, CLASSES).to(pixels.dtype)
        states = [xi[name][-1].flatten(1) for name in names]
        errors = [target - output(network, parameters, state) for state in states]
        share = 1 / (len(names) * len(pixels))
        zero_w, zero_b = torch.zeros_like(parameters.weights[-1]), torch.zeros_like(parameters.biases[-1])
        weights.append(share * sum((e.T @ state for e, state in zip(errors, states, strict=True)), zero_w))
        biases.append(share * sum((e.sum(0) for e in errors), zero_b))
    return Update(Parameters(tuple(weights), tuple(biases)), predictions)
