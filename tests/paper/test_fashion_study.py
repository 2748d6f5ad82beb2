"""Rows of the study of FashionMNIST, and what its feed-forward networks learn by."""

import pytest
import torch

from golden.training.data import load
from golden.training.plan import Plan
from paper.studies.backprop import OPTIMIZERS, Backprop, Sign
from paper.studies.fashion import STUDY, cell, variants
from paper.studies.held_out import STUDIED_TINY


def test_sign_moves_each_weight_by_the_rate():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    optimizer = Sign([x], lr=0.25)
    (x * torch.tensor([5.0, -1e-6, 0.0])).sum().backward()
    optimizer.step()
    assert x.tolist() == [0.75, 2.25, 3.0]


@pytest.mark.parametrize("budget", STUDY.budgets, ids=lambda budget: budget.name)
def test_rows_differ(budget):
    images = load("embedded")
    cells = [cell(variant, 1, budget, images) for variant in variants(budget)]
    assert len({one.fingerprint for one in cells}) == len(cells)
    assert len({tuple(one.labels.values()) for one in cells}) == len(cells)


def test_a_table_of_some_rows(tmp_path):
    """Rows that aren't measured yet aren't in it."""
    budget = STUDY.budget("rule")
    row = {"group": variants(budget)[1].group, "variant": variants(budget)[1].name, "seed": "1"}
    text = STUDY.report(budget, [row | {"error_percent": "12.5", "training_percent": "11.25"}], tmp_path / "fashion-rule.csv")
    assert text.splitlines()[-1] == f"| {row['group']} | {row['variant']} | 12.50 | 0.00 | 11.25 | 1 |"
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_centred_steps_learn_more(seed):
    """At the network's own rates, in one epoch: by 3 to 4 points."""
    images = load("embedded")
    plan = Plan.of(STUDIED_TINY, "embedded", 800, seed=seed, epochs=1)
    wrong = [
        Backprop(rate=1.0, clipped_output=False, by_layer=True, centred=centred).error(STUDIED_TINY, plan, 200, images)
        for centred in (False, True)
    ]
    assert wrong[1]["training_percent"] < wrong[0]["training_percent"] - 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_learns(optimizer):
    images = load("embedded")
    rate = {"sgd": 0.1, "adam": 1e-2, "scaled": 1e-2, "sign": 1e-3}[optimizer]
    plan = Plan.of(STUDIED_TINY, "embedded", 800, seed=1, epochs=2)
    assert (
        Backprop(optimizer, rate, cross_entropy=True, clipped_output=False).error(STUDIED_TINY, plan, 200, images)[
            "error_percent"
        ]
        < 40
    )
