"""EqSpike (Martin et al. 2021): equilibrium propagation with leaky integrate-and-fire neurons and
spike-driven updates.

Firing rates r converge instead of states. In the nudged phase, a spike of either neuron of a synapse changes
the weight by the other neuron's change of rate:

    delta w = sum over the phase of s_pre dr_post + s_post dr_pre.

Its expectation, the sum of r_pre dr_post + r_post dr_pre, is the change of the product r_pre r_post that eq.
4 needs, so no state has to be kept from the free phase.

The publication's constants weren't available: time constants and thresholds are this project's. In the
publication each spike of each sample changes weights; here they change at the end of a batch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .equilibrium import Update
from .network import Network, Parameters, backward, forward


@dataclass(frozen=True)
class Leaky:
    """Constants of the leaky neurons; times are in steps."""

    #: Steps of the free phase.
    free: int
    #: Steps of each nudged phase.
    nudged: int
    #: Strength of the nudge.
    beta: float = 0.5
    #: Time constant of the membrane potential u.
    membrane: float = 50.0
    #: Time constant of the synaptic current.
    synapse: float = 4.0
    #: Time constant of the measured rate.
    rate: float = 16.0
    #: Threshold of u; a spike subtracts it, so the rate is about clip(current / threshold, 0, 1) per step.
    threshold: float = 1.0


class Neuron(NamedTuple):
    """State of a layer; each tensor is (batch, c, 1, 1)."""

    #: Synaptic current.
    current: Tensor
    #: Membrane potential.
    u: Tensor
    #: Spike 0/1.
    s: Tensor
    #: Measured rate.
    r: Tensor
    #: Change of the rate in the last step.
    change: Tensor


def step(before: Neuron, drive: Tensor, push: Tensor | float, constants: Leaky) -> Neuron:
    """Return the state after one step:

    I[t+1] = I[t] + (drive - I[t]) / synapse
    u' = max(u[t] (1 - 1/membrane) + I[t+1] + push, -threshold),  s[t+1] = (u' > threshold)
    u[t+1] = u' - s[t+1] threshold,  r[t+1] = r[t] + (s[t+1] - r[t]) / rate

    drive: weighted spikes and bias. push: the nudge. The lower bound of u lets a silent neuron spike again.
    """
    current = before.current + (drive - before.current) / constants.synapse
    u = (before.u * (1 - 1 / constants.membrane) + current + push).clamp(min=-constants.threshold)
    s = (u > constants.threshold).to(u.dtype)
    change = (s - before.r) / constants.rate
    return Neuron(current, u - s * constants.threshold, s, before.r + change, change)


def _steps(
    network: Network,
    parameters: Parameters,
    static: Tensor,
    layers: list[Neuron],
    push: Tensor | float,
    constants: Leaky,
) -> list[Neuron]:
    """Return layers 1..N after one step. static: drive by the image. push: nudge of the output."""
    moved = []
    for n, (layer, bias) in enumerate(zip(layers, parameters.biases, strict=True)):
        drive = static if n == 0 else forward(network.links[n], layers[n - 1].s, parameters.weights[n])[0]
        if n + 1 < len(layers):
            drive = drive + backward(network.links[n + 1], layers[n + 1].s, parameters.weights[n + 1], None)
        last = n + 1 == len(layers)
        moved.append(step(layer, drive + bias[:, None, None], push if last else 0.0, constants))
    return moved


def _settled(
    network: Network, constants: Leaky, parameters: Parameters, pixels: Tensor
) -> tuple[Tensor, list[Neuron]]:
    """Run the free phase; return the drive by the image, and layers 1..N at its end."""
    static = forward(network.links[0], pixels, parameters.weights[0])[0]
    zero = [pixels.new_zeros((len(pixels), *link.post)) for link in network.links]
    layers = [Neuron(z, z, z, z, z) for z in zero]
    for _ in range(constants.free):
        layers = _steps(network, parameters, static, layers, 0.0, constants)
    return static, layers


@torch.no_grad()
def infer(network: Network, constants: Leaky, parameters: Parameters, pixels: Tensor) -> Tensor:
    """Return predictions (n,): the output with the largest rate."""
    return _settled(network, constants, parameters, pixels)[1][-1].r.flatten(1).argmax(1)


@torch.no_grad()
def update(
    network: Network, constants: Leaky, parameters: Parameters, pixels: Tensor, labels: Tensor, sign: int = 1
) -> Update:
    """Return the update of a fully connected network, mean over the batch, over sign beta.

    Weights of link 1: pixel dr_post over the nudged phase; of the others: the spike-driven sum of the
    module's docstring. Biases: dr of the neuron.
    """
    static, layers = _settled(network, constants, parameters, pixels)
    predictions = layers[-1].r.flatten(1).argmax(1)
    target = functional.one_hot(labels, network.classes).to(pixels.dtype)[:, :, None, None]
    weights = [torch.zeros_like(w) for w in parameters.weights]
    start = [layer.r for layer in layers]
    for _ in range(constants.nudged):
        push = sign * constants.beta * (target - layers[-1].r)
        layers = _steps(network, parameters, static, layers, push, constants)
        for n in range(1, len(layers)):
            pre, post = layers[n - 1], layers[n]
            weights[n] += post.change.flatten(1).T @ pre.s.flatten(1) + post.s.flatten(
                1
            ).T @ pre.change.flatten(1)
    changed = [layer.r - first for layer, first in zip(layers, start, strict=True)]
    weights[0] = changed[0].flatten(1).T @ pixels.flatten(1)  # the image's rate is constant
    scale = 1 / (sign * constants.beta * len(pixels))
    biases = tuple(scale * each.sum((0, 2, 3)) for each in changed)
    return Update(Parameters(tuple(scale * w for w in weights), biases), predictions)
