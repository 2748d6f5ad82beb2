"""Backpropagation through time: the loss's gradient through every step of the free phase.

The dynamics are those of equilibrium propagation. Spikes have a surrogate derivative (`neuron.Spike`), all else its own.
"""

from torch import Tensor
from torch.nn import functional

from golden.contract.spec import CLASSES

from .equilibrium import Update
from .network import Network, Parameters
from .neuron import Dynamics
from .phases import averages, output


def loss(network: Network, parameters: Parameters, last: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of half the squared distance to the label, or of the cross-entropy. last: the last layer's xi."""
    if network.softmax:
        scores = functional.linear(last.flatten(1), parameters.weights[-1], parameters.biases[-1])
        return functional.cross_entropy(scores, labels)
    return 0.5 * (functional.one_hot(labels, CLASSES) - last.flatten(1)).square().sum(1).mean()


def update(network: Network, dynamics: Dynamics, parameters: Parameters, pixels: Tensor, labels: Tensor) -> Update:
    """Minus the gradient of `loss` at the averaged end of the free phase."""
    leaves = Parameters(*(tuple(x.detach().requires_grad_() for x in group) for group in parameters))
    last = averages(network, dynamics, leaves, pixels, None)["free"][-1]
    loss(network, leaves, last, labels).backward()
    gradient = (tuple(-x.grad for x in group if x.grad is not None) for group in leaves)
    return Update(Parameters(*gradient), output(network, leaves, last.detach()).argmax(1))
