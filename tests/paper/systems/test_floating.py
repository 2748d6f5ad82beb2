"""Networks of the contract in floating point, compared with the fixed-point model that approximates them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from nudge.golden.contract.schedule import ORDERS, Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model import ops
from nudge.golden.model.batch import trace, train_batch
from nudge.golden.model.parameters import initial, working
from nudge.golden.model.settings import Settings
from nudge.golden.training import data
from nudge.paper import floating
from nudge.paper.systems import equilibrium, phases
from nudge.paper.systems.network import backward, forward
from nudge.paper.systems.neuron import Dynamics, State, encode, neuron
from tests.golden.model.random_nets import MINUSCULE, random_images, random_parameters
from tests.sets import noise


def test_spikes_average_to_the_state():
    """Sigma-delta with predictive coding: the decoded spikes of a constant neuron average to its state."""
    xi = torch.linspace(0, 1, 65, dtype=torch.float64)
    for prediction in (1.0, 0.6, 0.5, 0.25):
        dynamics = Dynamics(1, 1, prediction=prediction)
        V, before, d, total = (
            torch.zeros_like(xi),
            torch.zeros_like(xi),
            torch.zeros_like(xi),
            torch.zeros_like(xi),
        )
        for t in range(1200):
            s, V = encode(V, xi, before, dynamics)
            before, d = xi, (1 - prediction) * d + prediction * s
            if t >= 200:
                total += d / 1000
        assert (total - xi).abs().max() < 0.005


@pytest.mark.parametrize(("decay_shift", "halvings"), [(0, ()), (1, ()), (2, ()), (0, (1, 4, 11))])
def test_fixed_point_rounds_each_step_by_little(decay_shift, halvings):
    """A float step from the fixed-point model's state ends within the roundings of one step.

    phi is exact except for the static drive (half an LSB of 2^-9); d is floored (an LSB of 2^-12), xi rounded
    (half an LSB of 2^-8), and beta times xi floored (an LSB of 2^-12).
    """
    spec = replace(MINUSCULE, schedule=Schedule(12, 6, 1, decay_shift, halvings=halvings))
    random = np.random.default_rng(decay_shift)
    parameters = random_parameters(spec, random, 0.4)
    settings = Settings.of(spec)
    copies = working(spec, parameters)
    weights = floating.parameters(spec, copies)
    links = floating.network(spec).links
    dynamics = Dynamics.of(spec)
    images, _ = random_images(1, random)
    static = forward(links[0], floating.pixels(spec, images), weights.weights[0])[0]

    def real(layer: ops.State, following: float) -> State:
        """following: lambda of the next step."""
        d, U, s, xi = (x[None].double() for x in layer)
        return State(d / 4096, (U + (1 / following - 1) * xi) / 256, s, xi / 256)

    previous = kept = [
        State(*(torch.zeros((1, *x.shape), dtype=torch.float64) for _ in range(4))) for x in spec.layers[1:]
    ]
    bound_d = 2.0**-10 + 2.0**-12
    bound_xi = bound_d + 2.0**-12 + 2.0**-9
    target = torch.zeros(1, 10, 1, 1, dtype=torch.float64)
    target[0, 7] = 1
    differing = 0
    for step in trace(spec, settings, parameters, images[0], 7):
        if step.t == 0 and step.phase != "free":
            previous = kept
        phi = [static]
        for n, (link, w) in enumerate(zip(links[1:], weights.weights[1:], strict=True)):
            phi.append(forward(link, previous[n].s, w)[0])
            phi[n] = phi[n] + backward(link, previous[n + 1].s, w, None)
        sign = {"free": 0, "plus": 1, "minus": -1}[step.phase]
        nudges = [0.0] * 3 + [sign * dynamics.beta * (target - previous[-1].xi)]
        # lambda halves in the free phase alone, and stays as in the last step of that phase
        t = step.t if step.phase == "free" else 11
        now, following = dynamics.at(t), dynamics.at(min(t + 1, 11)).prediction
        assert now.prediction == 2.0 ** -(decay_shift + sum(at <= t for at in halvings))
        current = [real(layer, following) for layer in step.layers]
        for n, state in enumerate(previous):
            expected = neuron(state, phi[n], weights.biases[n][:, None, None], nudges[n], now)
            assert (expected.d.clamp(-8, 8) - current[n].d).abs().max() <= bound_d
            assert (expected.xi - current[n].xi).abs().max() <= bound_xi
            # a spike may differ only where the membrane is within the rounding of the threshold
            near = (expected.V + expected.s - 0.5).abs() <= bound_xi / now.prediction
            assert ((expected.s == current[n].s) | near).all()
            differing += int((expected.s != current[n].s).sum())
        previous = current
        if step.phase == "free":
            kept = current
    assert differing < 0.05 * 24 * sum(layer.neurons for layer in spec.layers[1:])


@pytest.mark.parametrize("order", ORDERS)
def test_fixed_point_averages_are_close(order):
    """With initial weights, averages of xi over 128 free steps differ by about a sigma-delta step / 128."""
    spec = Spec("x", (Conv(4), Dense(10)), Schedule(256, 128, 7, order=order), Learning((0.1, 0.1)))
    check_averages(spec, data.load("embedded").train_images[:8])


@pytest.mark.parametrize(
    ("stages", "shown"),
    [
        ((Conv(4, 5, 2), Dense(5)), Input(3, 16, 20, 5)),
        ((Conv(4, 2), Conv(3, 3, 1), Dense(64)), Input(1, 9, 12, 64)),
        ((Dense(12), Dense(26)), Input(3, 8, 9, 26)),
    ],
)
def test_averages_of_any_images_and_classes_are_close(stages, shown):
    spec = Spec("x", stages, Schedule(256, 128, 7), Learning((0.1,) * len(stages), gain=2.0), input=shown)
    check_averages(spec, torch.from_numpy(noise(shown, 4)["train_images"]))


def check_averages(spec, images):
    parameters, layers = initial(spec, 3), range(len(spec.stages))
    weights, x = floating.parameters(spec, working(spec, parameters)), floating.pixels(spec, images)
    expected = phases.averages(floating.network(spec), Dynamics.of(spec), weights, x, None)["free"]
    sums: list[list[torch.Tensor]] = []
    for image in images:
        states = [x.layers for x in trace(spec, Settings.of(spec), parameters, image, None) if x.t >= 128]
        sums.append([sum((each[n].xi for each in states), torch.zeros(())) / 128 / 256 for n in layers])
    for n in layers:
        actual = torch.stack([each[n] for each in sums])
        difference = (actual - expected[n]).abs()
        assert float(expected[n].std()) > 0.02
        assert float(difference.mean()) < 0.004
        assert float(difference.max()) < 0.05


@pytest.mark.parametrize("order", ORDERS)
def test_fixed_point_updates_in_fine_spikes_are_close(order):
    """At a learning rate of 1, a batch's updates bound the errors of the rate's scale and of rounding."""
    schedule = Schedule(32, 16, 3, 0, order, (1, 4, 16), feedback_shift=2, fine=(8, 6, 4, 1))
    spec = Spec(
        "x", (Conv(6), Conv(8), Dense(16), Dense(10)), schedule, Learning((1.0,) * 4, batch=32, gain=1.5)
    )
    parameters, digits = initial(spec, 3), data.load("embedded")
    images, labels = digits.train_images[:32], digits.train_labels[:32]
    weights, x = floating.parameters(spec, working(spec, parameters)), floating.pixels(spec, images)
    expected = equilibrium.update(floating.network(spec), Dynamics.of(spec), weights, x, labels).delta
    found = train_batch(spec, Settings.of(spec), parameters, images, labels).updates
    for kind in ("weights", "biases"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
            a = a.double() / (1 << spec.formats.master_fraction)
            cosine = float(functional.cosine_similarity(a.flatten(), b.flatten(), 0))
            assert cosine > 0.9, f"{kind} {n}: cosine {cosine:.3f}"
            assert 0.8 < float(a.norm() / b.norm()) < 1.25, (
                f"{kind} {n}: norm ratio {float(a.norm() / b.norm()):.3f}"
            )


def test_the_image_encoder_keeps_its_state_into_the_nudged_phases():
    """With beta 0 a nudged phase continues the free phase, with and without image spikes."""
    net = floating.network(MINUSCULE)
    images, labels = random_images(1, np.random.default_rng(0))
    x, weights = floating.pixels(MINUSCULE, images), net.initial(2, 2.0, dtype=torch.float64)
    for image_spikes in (False, True):
        dynamics = Dynamics(9, 9, beta=0.0, image_spikes=image_spikes)
        longer = list(phases.steps(net, replace(dynamics, free=18), weights, x, None))
        for step in phases.steps(net, dynamics, weights, x, labels):
            other = longer[step.t + (0 if step.phase == "free" else 9)]
            for a, b in zip(step.layers, other.layers, strict=True):
                assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
