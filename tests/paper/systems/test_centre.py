"""Centred updates equal steps of a network whose inputs have their mean subtracted; trainings with them."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from nudge.golden.contract.shapes import Dense
from nudge.golden.training.data import load
from nudge.paper.systems.centre import FOLLOW, centred, channel_mean, followed
from nudge.paper.systems.configuration import Configuration
from nudge.paper.systems.network import Network, PaddedConv
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.train import SystemRun, read, train

DIGITS = load("embedded")


@pytest.mark.parametrize(
    ("shape", "function"),
    [((3, 2, 3, 3), functional.conv2d), ((3, 98), lambda x, w, b: functional.linear(x.flatten(1), w, b))],
    ids=["conv", "dense"],
)
def test_a_centred_step_is_a_step_of_what_reads_less_the_mean(shape, function):
    """f(x - m), with a bias that makes it f(x), gives after a step what f(x) gives after a centred step."""
    torch.manual_seed(1)
    w, b = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in (shape, shape[:1]))
    x, others = (torch.rand(5, 2, 7, 7, dtype=torch.float64) for _ in range(2))
    m = channel_mean(others)[:, None, None]
    outputs = function(m.expand(1, 2, 7, 7), w, b).detach().reshape(3, -1)[:, 0]
    mine = [w.detach().clone().requires_grad_(), outputs.requires_grad_()]
    assert torch.allclose(function(x - m, *mine), function(x, w, b))

    function(x - m, *mine).square().sum().backward()
    expected = function(x - m, *(p.detach() - 0.01 * p.grad for p in mine))
    dw, db = torch.autograd.grad(function(x, w, b).square().sum(), [w, b])
    steps = centred(dw, db, m.flatten())
    assert torch.allclose(
        function(x, *(p - 0.01 * step for p, step in zip((w, b), steps, strict=True))), expected
    )


def test_without_a_mean_nothing_changes():
    w, b = torch.randn(4, 3, 2, 2), torch.randn(4)
    assert all(map(torch.equal, centred(w, b, torch.zeros(3)), (w, b)))


def test_means_follow_from_the_first_on():
    first, then = [torch.tensor([1.0])], [torch.tensor([2.0])]
    assert followed([], first) == first
    assert followed(first, then)[0].item() == pytest.approx(1 + FOLLOW)


def small(**changes) -> Configuration:
    """Return a configuration that learns in seconds, by torch."""
    network = Network((PaddedConv(4), Dense(16), Dense(10)))
    dynamics = Dynamics(12, 6, 2, 0.25, 1.0, 0.5, order="odd-even")
    start = Configuration("small", "start", "-", "-", network, dynamics, (0.5, 0.3, 0.2), batch=10, epochs=3)
    return replace(start, **{"centred": True} | changes)


@pytest.mark.parametrize("rule", ["ep", "bptt"])
def test_an_interrupted_centred_run_is_the_whole_one(tmp_path, rule):
    run = SystemRun(small(rule=rule), 150, 3, 1, 10, parts=3)
    whole = train(run, DIGITS)
    train(replace(run, epochs=1), DIGITS, tmp_path / "checkpoint")
    rest = train(run, DIGITS, tmp_path / "checkpoint")
    for ours, theirs in zip(rest.parameters, whole.parameters, strict=True):
        assert all(map(torch.equal, ours, theirs))
    other = train(replace(run, configuration=small(rule=rule, centred=False)), DIGITS)
    assert not torch.equal(other.parameters.weights[0], whole.parameters.weights[0])


def test_links_read_the_image_and_the_layers_below():
    c = small()
    parameters = c.network.initial(1)
    x = DIGITS.train_images[:5, None].float() / 255
    means = read(c, parameters, x)
    assert [len(m) for m in means] == [1, 4, 16]
    assert means[0].item() == pytest.approx(x.mean().item())
    assert all(0 <= m.min() <= m.max() <= 1 for m in means)
