"""The update of eq. 4, 5 and 11 approximates that of backpropagation through time."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from nudge.golden.contract.shapes import Dense
from nudge.paper.systems import backprop, equilibrium
from nudge.paper.systems.network import Network, PaddedConv, Parameters
from nudge.paper.systems.neuron import Dynamics

from .small_systems import DIGITS, NARROW, pixels

NETWORKS = {
    "squared error": NARROW,
    "cross-entropy": replace(NARROW, softmax=True),
    "as the paper computes it": replace(NARROW, fold=False),
    "maximum pooling": replace(NARROW, pooling="maximum"),
    "fully connected": Network((Dense(12), Dense(12), Dense(12), Dense(10))),
    "even maps": Network((PaddedConv(3, 5), PaddedConv(4, 5), Dense(10))),
    "weak feedback": replace(NARROW, feedback=0.25),
    "weak feedback, cross-entropy": replace(NARROW, feedback=0.5, softmax=True),
    "padded": Network((PaddedConv(3, 3, 1), PaddedConv(4, 3, 1), PaddedConv(4, 3, 1), Dense(10))),
}


def compared(net: Network, dynamics: Dynamics) -> list[tuple[str, float, float]]:
    """Return, for each weight and bias, cosine and norm ratio of the update to BPTT's, after 256 steps."""
    parameters = net.initial(5, dtype=torch.float64)
    lifted = Parameters(parameters.weights, tuple(0.1 + b for b in parameters.biases))
    x, labels = pixels(6), DIGITS.train_labels[:6]
    ours = equilibrium.update(net, dynamics, lifted, x, labels).delta
    theirs = backprop.update(net, replace(dynamics, free=256), lifted, x, labels).delta
    found = []
    for kind, a, b in zip(("weights", "biases"), ours, theirs, strict=True):
        for n, (p, q) in enumerate(zip(a, b, strict=True), start=1):
            assert q.norm() > 1e-6, f"{kind} {n}: nothing to compare"
            cosine = float(functional.cosine_similarity(p.flatten(), q.flatten(), dim=0))
            found.append((f"{kind} {n}", cosine, float(p.norm() / q.norm())))
    return found


@pytest.mark.parametrize("rate", [0.9, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_convergent_update_is_the_gradient(name, rate):
    """Eq. 5 and 11 at a small beta equal backpropagation through time, in every layer."""
    for layer, cosine, ratio in compared(
        NETWORKS[name], Dynamics(256, 128, 1, rate=rate, beta=1e-3, spiking=False)
    ):
        assert cosine > 0.99, f"{layer}: cosine {cosine:.4f}"
        assert 0.95 < ratio < 1.05, f"{layer}: norm ratio {ratio:.4f}"


def test_another_alpha_changes_sizes_alone():
    """Eq. 16 isn't the adjoint then: the first convolution's update passes two inverses, the second's one."""
    dynamics = Dynamics(256, 128, 1, beta=1e-3, spiking=False)
    found = {name: rest for name, *rest in compared(replace(NARROW, alpha=16.0), dynamics)}
    assert all(cosine > 0.99 for cosine, _ in found.values())
    sizes = [found[f"weights {n}"][1] for n in range(1, 5)]
    assert sizes == pytest.approx([1 / 16, 1 / 4, 1, 1], rel=0.05)


def test_three_phases_cancel_the_bias_of_two():
    """Eq. 4 has an error of first order in beta, which adds to the norm of the update; eq. 5 has none."""
    three = Dynamics(256, 128, 1, beta=1e-3, spiking=False)
    both = three, replace(three, three_phases=False)
    off = [max(abs(ratio - 1) for _, _, ratio in compared(NETWORKS["fully connected"], d)) for d in both]
    assert off[0] < off[1] / 10
