"""The rows of each study differ, and the feed-forward networks learn with each optimizer."""

import json

import pytest
import torch

from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.paper.studies import NAMES, find
from nudge.paper.studies.backprop import OPTIMIZERS, Backprop, Sign
from nudge.paper.studies.carry_out import on_device
from nudge.paper.studies.held_out import STUDIED_TINY


def test_sign_moves_each_weight_by_the_rate():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    optimizer = Sign([x], lr=0.25)
    (x * torch.tensor([5.0, -1e-6, 0.0])).sum().backward()
    optimizer.step()
    assert x.tolist() == [0.75, 2.25, 3.0]


@pytest.mark.parametrize(
    ("study", "budget"),
    [(name, budget.name) for name in NAMES for budget in find(name).budgets],
)
def test_rows_differ(study, budget):
    """Rows differ in labels and, except in `speed` and `settling`, in data or in facts that fix results."""
    known = find(study)
    cells = known.cells(on_device(known, known.budget(budget), "cpu"), 1, None)
    assert len({one.fingerprint for one in cells}) == len(cells)
    assert len({tuple(one.labels.values()) for one in cells}) == len(cells)
    facts = [json.dumps([one.labels.get("data"), one.configuration], sort_keys=True) for one in cells]
    assert study in ("speed", "settling") or len(set(facts)) == len(cells)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_centred_steps_learn_more(seed):
    """In one epoch at the network's own rates the training error is 3 to 4 points lower."""
    images = load("embedded")
    plan = Plan.of(STUDIED_TINY, "embedded", 800, seed=seed, epochs=1)
    wrong = [
        Backprop(rate=1.0, clipped_output=False, by_layer=True, centred=centred).error(
            STUDIED_TINY, plan, 200, images
        )
        for centred in (False, True)
    ]
    assert wrong[1]["training_percent"] < wrong[0]["training_percent"] - 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_learns(optimizer):
    images = load("embedded")
    rate = {"sgd": 0.1, "momentum": 1e-2, "adam": 1e-2, "scaled": 1e-2, "sign": 1e-3}[optimizer]
    plan = Plan.of(STUDIED_TINY, "embedded", 800, seed=1, epochs=2)
    assert (
        Backprop(optimizer, rate, cross_entropy=True, clipped_output=False).error(
            STUDIED_TINY, plan, 200, images
        )["error_percent"]
        < 40
    )
