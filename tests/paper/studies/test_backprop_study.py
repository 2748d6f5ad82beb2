"""The studies' feed-forward network takes any network of the contract: colour, padding, number of classes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import Data
from nudge.golden.training.plan import Plan
from nudge.paper.studies.backprop import Backprop, Scale, pixels
from nudge.paper.studies.held_out import Trial, measure
from nudge.paper.tables.study import plain

#: Two convolutions, one with padding, on colour images that aren't square, in three classes.
COLOUR = Spec(
    "colour",
    (Conv(4, 5, 2), Conv(6, 3), Dense(3)),
    Schedule(16, 8),
    Learning((0.1,) * 3),
    input=Input(3, 12, 16, 3),
)


def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return dark noise in which the channel of the label is brighter, and the labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    images = random.integers(0, 60, (count, *COLOUR.input.shape))
    images[np.arange(count), labels] += 100
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)


def started(spec: Spec) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return initial weights, and biases that aren't 0."""
    random = torch.Generator().manual_seed(1)
    weights = [w.float() / (1 << spec.formats.master_fraction) for w in initial(spec, 3).weights]
    return weights, [torch.rand(len(w), generator=random) / 10 for w in weights]


@pytest.mark.parametrize(
    "changed", [{}, {"clipped": False, "clipped_output": False}, {"max_pool": True}], ids=str
)
def test_the_forward_pass_is_that_of_its_layers(changed):
    """The layers written by hand, with the frame of zeros put around the image before the convolution."""
    rule = Backprop(**changed)
    (first, second, last), biases = started(COLOUR)
    images = drawn(5, 2)[0]
    pool = functional.max_pool2d if rule.max_pool else functional.avg_pool2d
    top = 1.0 if rule.clipped else float("inf")

    framed = functional.pad(images.float() / 256, (2, 2, 2, 2))
    one = pool(functional.conv2d(framed, first, biases[0]), 2).clamp(0, top)
    two = pool(functional.conv2d(one, second, biases[1]), 2).clamp(0, top)
    three = two.flatten(1) @ last.T + biases[2]
    expected = three.clamp(0, 1) if rule.clipped_output else three

    read: list[torch.Tensor] = []
    found = rule.forward(COLOUR, [first, second, last], biases, pixels(COLOUR, images), read)
    torch.testing.assert_close(found, expected)
    assert found.shape == (5, 3)
    assert float(found.detach().std()) > 0.01
    assert [tuple(x.shape[1:]) for x in read] == [layer.shape for layer in COLOUR.layers[:-1]]


def test_normalised_pixels_have_mean_0_and_variance_1():
    images = drawn(700, 4)[0]  # more than are measured at once
    images[:, 1] = 77  # a channel of a single value
    x = pixels(COLOUR, images, Scale.of(COLOUR, images)).double()
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        x.var((0, 2, 3), correction=0), torch.tensor([1, 0, 1]).double(), atol=1e-5, rtol=0
    )
    grey = replace(COLOUR, input=Input(1, 12, 16, 3))
    assert torch.equal(pixels(grey, images[:, 0]), images[:, :1].float() / 256)


@pytest.mark.parametrize("normalised", [False, True])
def test_one_epoch_of_colours_is_learned(tmp_path, normalised):
    """Chance misreads two thirds; the data come from a file, as the network's images and classes."""
    train, test = drawn(400, 5), drawn(10, 6)
    arrays: dict[str, Any] = dict(zip(Data._fields, (*train, *test), strict=True))
    np.savez(tmp_path / "colours.npz", **arrays)
    plan = Plan.of(COLOUR, str(tmp_path / "colours.npz"), 300, seed=1, epochs=1, batch=10)
    rule = Backprop(
        "adam", 5e-3, cross_entropy=True, clipped=False, clipped_output=False, normalised=normalised
    )
    trial = Trial({"name": "colours"}, COLOUR, rule=rule)
    assert measure(trial, plan, 100, str(tmp_path / "colours.npz"), None)["error_percent"] < 10


def test_the_last_epochs_weights_are_averaged(monkeypatch):
    """The weights with which held-out images are tried, after one epoch, after two, and their mean."""
    (images, labels), forward, tried = drawn(60, 7), Backprop.forward, []

    def noted(rule, spec, weights, biases, x, read=None):
        if not torch.is_grad_enabled():
            tried.append([w.clone() for w in (*weights, *biases)])
        return forward(rule, spec, weights, biases, x, read)

    monkeypatch.setattr(Backprop, "forward", noted)
    for epochs, average in ((1, 1), (2, 1), (2, 2)):
        plan = Plan.of(COLOUR, "embedded", 50, seed=1, epochs=epochs, average=average, batch=10)
        Backprop(rate=0.5).error(COLOUR, plan, 10, Data(images, labels, images, labels))
    one, two, both = tried
    assert not torch.equal(one[0], two[0])
    assert all(torch.equal(z, (x + y) / 2) for x, y, z in zip(one, two, both, strict=True))


def test_an_option_that_is_not_taken_is_no_part_of_a_fingerprint():
    assert "normalised" not in plain(Backprop())
    assert plain(Backprop(normalised=True))["normalised"] is True
