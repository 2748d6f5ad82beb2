"""The study of pooling measures the signals of the middle layers, here on a few digits."""

import pytest
import torch

from nudge.golden.training.data import load
from nudge.paper.studies.layer_signals import MIDDLE, SIGNALS, TOPS, Moments, five_layers, signals, taught
from nudge.paper.studies.pooling import configuration, settings
from nudge.paper.systems.network import forward, kernels
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.train import pixels

DIGITS = load("embedded")


def test_moments_are_of_all_that_was_added():
    moments = Moments()
    one, other = torch.tensor([[[[1.0, -3.0]], [[2.0, 0.0]]]]), torch.tensor([[[[-1.0, -1.0]]]])
    moments.add(one)
    moments.add(other)
    assert (moments.count, moments.maps) == (6, 3)
    assert (moments.magnitude, moments.net, moments.total) == (8.0, 6.0, -2.0)
    assert moments.deviation == pytest.approx((16 / 6 - (2 / 6) ** 2) ** 0.5)


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("net", ["convergent", "spiking"])
@pytest.mark.parametrize("pooling", ["maximum", "average"])
def test_signals_come_from_both_sides_of_each_middle_layer(net, pooling, top):
    c = configuration(net, pooling, top, 12, 2.0)
    assert isinstance(c.dynamics, Dynamics)
    shapes = [link.post for link in c.network.links]
    assert [shape[0] for shape in shapes[:4]] == [16, 32, 64, 128]
    assert shapes[3][1:] == ((2, 2) if top.startswith("convolution") else (1, 1))
    found = signals(
        c.network,
        c.dynamics,
        c.network.initial(1, 2.0),
        pixels(DIGITS.train_images[:4]),
        DIGITS.train_labels[:4],
    )
    assert set(found) == {f"{name}_{n}" for name in SIGNALS for n in MIDDLE}
    for name, moments in found.items():
        assert 0 <= moments.net <= moments.magnitude * 1.0001, name
        if name.startswith("Y_forward"):
            assert moments.net > 0, name


def test_each_row_is_another_configuration():
    rows = [(weights, top) for weights, top, _ in settings("spiking", "average", (40, 250))]
    assert len(set(rows)) == len(rows) == 4 * len(TOPS)
    assert len({repr(c) for _, _, c in settings("spiking", "average", (40, 250))}) == len(rows)


def test_adam_teaches_the_layers():
    """After 1,000 digits once, under 50 of 100 others are misread; training again gives equal weights."""
    network = five_layers("maximum", "512, 10")
    first, again = (taught(network, 1, 2.0, 1000, DIGITS) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first.weights, again.weights, strict=True))
    x = pixels(DIGITS.test_images[:100])
    for n, (link, w, b) in enumerate(
        zip(network.links, kernels(network.links, first.weights), first.biases, strict=True)
    ):
        x = forward(link, x, w)[0] + b[:, None, None]
        x = x if n == len(network.links) - 1 else x.clamp(0, 1)
    assert (x.flatten(1).argmax(1) != DIGITS.test_labels[:100]).sum() < 50
