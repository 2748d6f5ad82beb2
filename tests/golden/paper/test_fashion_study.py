"""Rows of the study of FashionMNIST, and what its feed-forward networks learn by."""

import pytest
import torch
from torch.nn import functional

from golden.paper.studies.backprop import FOLLOW, OPTIMIZERS, Backprop, Centre, Sign
from golden.paper.studies.fashion import STUDY, cell, variants
from golden.paper.studies.held_out import STUDIED_TINY
from golden.training.data import load
from golden.training.plan import Plan


def test_sign_moves_each_weight_by_the_rate():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    optimizer = Sign([x], lr=0.25)
    (x * torch.tensor([5.0, -1e-6, 0.0])).sum().backward()
    optimizer.step()
    assert x.tolist() == [0.75, 2.25, 3.0]


@pytest.mark.parametrize(
    ("shape", "function", "mean"),
    [
        ((3, 2, 3, 3), functional.conv2d, lambda x: x.mean((0, 2, 3), keepdim=True)),
        ((3, 98), lambda x, w, b: functional.linear(x.flatten(1), w, b), lambda x: x.mean(0, keepdim=True)),
    ],
    ids=["conv", "dense"],
)
def test_centred_steps_are_those_of_what_reads_less_the_mean(shape, function, mean):
    """A step of f(x - m), whose bias is b + w m, taken there, against one of f(x) with changed gradients."""
    torch.manual_seed(1)
    w, b = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in (shape, shape[:1]))
    x, before = (torch.rand(5, 2, 7, 7, dtype=torch.float64) for _ in range(2))
    m = mean(before).lerp(mean(x), FOLLOW)
    shift = function(m.expand(1, 2, 7, 7), w, torch.zeros_like(b)).detach()
    at = shift.reshape(3, -1)[:, 0]
    there = [w.detach().clone().requires_grad_(), (b + at).detach().requires_grad_()]
    function(x - m, *there).square().sum().backward()
    stepped = [p.detach() - 0.01 * p.grad for p in there]
    expected = function(x - m, *stepped)

    centre = Centre(1)
    function(x, w, b).square().sum().backward()
    centre.means = [mean(before).flatten()]
    centre([w], [b], [x])
    assert torch.allclose(function(x, w - 0.01 * w.grad, b - 0.01 * b.grad), expected)


def test_facts_are_as_they_were_where_nothing_new_is_asked_for():
    assert set(Backprop(by_layer=True).facts()) - set(Backprop().facts()) == {"by_layer"}
    assert set(Backprop(centred=True).facts()) - set(Backprop().facts()) == {"centred"}
    assert "max_pool" in Backprop().facts()


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
