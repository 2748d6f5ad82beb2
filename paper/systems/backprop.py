"""Backpropagation through time (BPTT): the gradient of the loss through every step of the free phase.

The dynamics are those of equilibrium propagation. Spikes have a surrogate derivative (`neuron.Spike`),
everything else its exact one. `update` uses torch's autograd, `compiled_update` a compiled loop.
"""

import torch
from torch import Tensor
from torch.nn import functional, grad

from . import compiled
from .equilibrium import Update
from .network import Link, Network, Parameters, readout
from .neuron import Dynamics
from .phases import averages, output
from .pooling import ADJOINT, F


def loss(network: Network, parameters: Parameters, last: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over the batch of |y - xi|^2 / 2, or of the cross-entropy with a readout.

    last: xi of the last layer.
    """
    if network.softmax:
        scores = functional.linear(last.flatten(1), parameters.weights[-1], parameters.biases[-1])
        return functional.cross_entropy(scores, labels)
    return 0.5 * (functional.one_hot(labels, network.classes) - last.flatten(1)).square().sum(1).mean()


def update(
    network: Network, dynamics: Dynamics, parameters: Parameters, pixels: Tensor, labels: Tensor
) -> Update:
    """Return minus the gradient of `loss` at the averaged end of the free phase."""
    leaves = Parameters(*(tuple(x.detach().requires_grad_() for x in group) for group in parameters))
    last = averages(network, dynamics, leaves, pixels, None)["free"][-1]
    loss(network, leaves, last, labels).backward()
    gradient = (tuple(-x.grad for x in group if x.grad is not None) for group in leaves)
    return Update(Parameters(*gradient), output(network, leaves, last.detach()).argmax(1))


@torch.no_grad()
def compiled_update(
    network: Network, dynamics: Dynamics, parameters: Parameters, pixels: Tensor, labels: Tensor
) -> Update:
    """Return the result of `update`, up to float32's rounding, several times as fast.

    Raises `NativeError` where `compiled.gradient` does.
    """
    found = compiled.gradient(network, dynamics, parameters, pixels, labels)
    turn = {layer: n for n, turn in enumerate(dynamics.turns(len(network.dynamic))) for layer in turn}
    share = -1 / len(pixels)
    weights = [share * products(network.dynamic[0], pixels, found.drives[0].sum(0))]
    for above in range(2, len(network.dynamic) + 1):
        link, below = network.dynamic[above - 1], above - 1
        up = read(found.sent[below - 1], found.drives[above - 1], now=turn[below] < turn[above])
        down = read(found.sent[above - 1], found.drives[below - 1], now=turn[above] < turn[below])
        weights.append(share * (products(link, *up) + products(link, *reversed(down))))
    biases = [share * x.sum((0, 2, 3)) for x in found.biases]
    if network.softmax:
        states = found.last.flatten(1)
        wrong = readout(network, parameters, found.last) - functional.one_hot(labels, network.classes)
        weights.append(share * (wrong.T @ states))
        biases.append(share * wrong.sum(0))
    return Update(
        Parameters(tuple(weights), tuple(biases)), output(network, parameters, found.last).argmax(1)
    )


def read(sent: Tensor, drives: Tensor, *, now: bool) -> tuple[Tensor, Tensor]:
    """Pair a layer's inputs with the derivatives by the drives that they caused, (steps * batch, c, h, w)
    each.

    sent, drives: (steps, batch, c, h, w). now: True if the layer reads spikes of the same step, False if it
    reads those of the step before.
    """
    pair = (sent, drives) if now else (sent[:-1], drives[1:])
    return pair[0].flatten(0, 1), pair[1].flatten(0, 1)


def products(link: Link, pre: Tensor, post: Tensor) -> Tensor:
    """Return d<P(w * pre), post>/dw for average pooling, summed over the batch.

    It equals `network.products` with alpha = `ADJOINT`, but pools first, so only every other position counts.
    """
    if link.kind == "dense":
        return post.flatten(1).T @ pre.flatten(1)
    rows = pre[..., 1:, :] + pre[..., :-1, :]
    return grad.conv2d_weight((rows[..., 1:] + rows[..., :-1]) / ADJOINT, link.weight_shape, post, stride=F)
