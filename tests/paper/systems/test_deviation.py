"""Nudged phases in fine spikes: sums of spikes, rest without a nudge, and updates that are gradients."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from nudge.golden.contract.shapes import Dense
from nudge.golden.training import data
from nudge.paper.systems import backprop, deviation, equilibrium, phases
from nudge.paper.systems.network import Network, PaddedConv, Parameters
from nudge.paper.systems.neuron import Dynamics, State

NETWORK = Network((PaddedConv(3), PaddedConv(4), Dense(12), Dense(10)), feedback=0.25)
#: lambda falls as 1 / t^0.7.
FINE = Dynamics(32, 16, 8, 1.0, beta=0.2, prediction_decay=0.7, fine=(8, 6, 4, 2))
DIGITS = data.load("embedded", None)


def sample(count: int, gain: float = 1.5) -> tuple[Parameters, torch.Tensor, torch.Tensor]:
    """Return weights, biases that are not 0, pixels and labels."""
    parameters = NETWORK.initial(5, gain, dtype=torch.float64)
    lifted = Parameters(parameters.weights, tuple(0.1 + b for b in parameters.biases))
    return lifted, DIGITS.train_images[:count, None].double() / 255, DIGITS.train_labels[:count]


def test_what_is_sent_adds_up_to_the_deviation():
    """Sigma-delta: the membrane potential changes by the encoded sum minus the sent sum."""
    random = torch.Generator().manual_seed(1)
    dynamics = Dynamics(1, 1, 1, prediction=0.25, fine=(2, 4))
    old = [torch.rand((2, 3, 4, 4), generator=random, dtype=torch.float64) for _ in range(3)]
    layers = [State(x, 3 * (x - 0.5), x, x) for x in old]
    begun = deviation.begin(layers, dynamics)
    assert all(not float(layer.s.abs().sum()) and not float(layer.d.abs().sum()) for layer in begun)
    for n, worth in ((1, 0.25), (2, 0.0625)):
        state, base = begun[n], layers[n]
        assert torch.equal(state.V, worth * (3 * (old[n] - 0.5)).clamp(-0.5, 0.5))
        encoded, sent = torch.zeros_like(state.V), torch.zeros_like(state.V)
        for _ in range(40):
            phi = torch.rand(state.d.shape, generator=random, dtype=torch.float64) - 0.5
            after = deviation.neuron(state, base, phi, torch.tensor(0.1), 0.0, dynamics, n)
            torch.testing.assert_close(
                after.xi, (base.d + state.d + 0.25 * (phi - state.d) + 0.1).clamp(0, 1)
            )
            assert set((after.s / worth).unique().tolist()) <= {-1.0, 0.0, 1.0}
            encoded += (state.xi - base.xi) + 4 * (after.xi - state.xi)
            sent += after.s
            state = after
        assert float(sent.abs().mean()) > worth, "hardly a spike"
        torch.testing.assert_close(state.V - begun[n].V, encoded - sent)


@pytest.mark.parametrize("order", ["all", "odd-even"])
def test_nothing_moves_without_a_nudge(order):
    parameters, x, labels = sample(4)
    dynamics = replace(FINE, free=20, nudged=10, beta=0.0, order=order)
    at_the_end: list[State] = []
    for step in phases.steps(NETWORK, dynamics, parameters, x, labels):
        if step.phase == "free":
            at_the_end = step.layers
            continue
        for layer, last in zip(step.layers, at_the_end, strict=True):
            assert torch.equal(layer.xi, last.xi)
            assert not int(layer.s.count_nonzero())
    assert all(0.05 < float(layer.xi.mean()) < 0.95 for layer in at_the_end)


def cosines(dynamics: Dynamics) -> list[float]:
    """Return, for each layer, the cosine of the update with that of backpropagation without spikes."""
    parameters, x, labels = sample(32)
    ours = equilibrium.update(NETWORK, dynamics, parameters, x, labels).delta.weights
    real = Dynamics(256, 1, 1, spiking=False)
    theirs = backprop.update(NETWORK, real, parameters, x, labels).delta.weights
    return [
        float(functional.cosine_similarity(a.flatten(), b.flatten(), 0))
        for a, b in zip(ours, theirs, strict=True)
    ]


def test_the_update_is_the_gradient_where_coarse_spikes_lose_it():
    fine, coarse = cosines(FINE), cosines(replace(FINE, fine=None))
    assert min(fine) > 0.95, fine
    assert coarse[0] < 0.5, coarse


def test_fine_spikes_are_spikes():
    with pytest.raises(AssertionError, match="without spikes none is fine"):
        Dynamics(4, 2, spiking=False, fine=(1, 1))
