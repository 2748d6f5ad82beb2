"""Parts of recipes that the gateware lacks: what each adds to a commit."""

import pytest
import torch

from nudge.golden.contract.presets import PRESETS
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.paper.studies import recipe
from nudge.paper.studies.recipe import Recipe

TINY, IMAGES = PRESETS["tiny"], load("embedded")


@pytest.fixture
def trained(monkeypatch):
    """Return a function that trains and returns the masters at the end."""
    kept = []

    def mean(parameters):
        kept.append(parameters[-1])
        return parameters[-1]

    monkeypatch.setattr(recipe, "mean", mean)

    def train(rule: Recipe, samples: int, epochs: int = 1, **plan: float) -> list[torch.Tensor]:
        rule.error(
            TINY, Plan.of(TINY, "embedded", samples, seed=3, epochs=epochs, batch=10, **plan), 5, IMAGES
        )
        return [*kept[-1].weights, *kept[-1].biases]

    return train


def equal(found, expected) -> bool:
    return all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_momentum_repeats_a_share_of_the_last_move(trained):
    first, second = trained(Recipe(), 10), trained(Recipe(), 10, 2)
    start = initial(TINY, 3)
    low, high = TINY.formats.master_low, TINY.formats.master_high
    moves = [x - y for x, y in zip(first, (*start.weights, *start.biases), strict=True)]
    expected = [
        (x + torch.round(0.5 * move).long()).clamp(low, high) for x, move in zip(second, moves, strict=True)
    ]
    assert not equal(second, expected)
    assert equal(trained(Recipe(momentum=0.5), 10, 2), expected)


def test_weights_decay_at_each_interval_but_biases_do_not(trained, monkeypatch):
    monkeypatch.setattr(recipe, "INTERVAL", 2)
    n = len(TINY.bundles)
    for samples, decays in ((10, False), (20, True)):
        plain = trained(Recipe(), samples)
        expected = [
            x - torch.round(0.01 * x).long() if decays and at < n else x for at, x in enumerate(plain)
        ]
        assert equal(trained(Recipe(weight_decay=0.01), samples), expected)


def test_a_cosine_halves_the_rates_in_the_second_of_two_epochs(trained):
    assert equal(trained(Recipe(cosine=True), 30), trained(Recipe(), 30))
    assert equal(trained(Recipe(cosine=True), 30, 2, decay=0.9), trained(Recipe(), 30, 2, decay=0.5))
