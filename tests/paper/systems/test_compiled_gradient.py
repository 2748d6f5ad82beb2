"""Compiled backpropagation through time has autograd's spikes, and its derivatives except for rounding."""

from dataclasses import replace

import pytest
import torch

from nudge.golden.contract.shapes import Dense
from nudge.golden.training import data as datasets
from nudge.paper.systems import backprop, compiled, network
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.network import Network, PaddedConv
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.train import SystemRun, train
from nudge.plumbing import compiler
from nudge.plumbing.errors import NativeError

from .test_compiled import NETWORKS, sample

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")

#: With weights of few bits float32 rounds no spiking state, so both engines have the same spikes.
EXACT = Dynamics(6, 4, 2, 0.5, 1.0)
DYNAMICS = {
    "spikes": EXACT,
    "spikes, odd-even": replace(EXACT, order="odd-even", window=3),
    "epsilon": replace(EXACT, rate=0.5, order="odd-even", free=4),
    "lambda that falls": replace(EXACT, prediction=1.0, prediction_decay=1.0, free=2, order="odd-even"),
    "real": replace(EXACT, spiking=False, window=1),
    "real, odd-even": replace(EXACT, spiking=False, order="odd-even", rate=0.9),
}
DIFFERENTIABLE = [name for name, net in NETWORKS.items() if compiled.differentiable(net, EXACT)]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("kind", DYNAMICS)
def test_the_derivative_is_autograds(name, kind):
    parameters, pixels, labels = sample(NETWORKS[name], 1, bits=2)
    if not DYNAMICS[kind].spiking:  # otherwise all neurons are clipped, and derivatives are 0
        parameters = parameters._replace(weights=tuple(w / 8 for w in parameters.weights))
    expected = backprop.update(NETWORKS[name], DYNAMICS[kind], parameters, pixels, labels)
    got = backprop.compiled_update(NETWORKS[name], DYNAMICS[kind], parameters, pixels, labels)
    assert torch.equal(expected.predictions, got.predictions)
    for group, same in zip(expected.delta, got.delta, strict=True):
        for n, (one, other) in enumerate(zip(group, same, strict=True)):
            assert one.shape == other.shape
            largest = float(one.abs().max())
            assert largest > 0, f"link {n}: nothing comes back to it"
            assert float((one - other).abs().max()) <= 1e-4 * largest, f"link {n}"


def test_nothing_but_the_sample_counts():
    pixels_of = NETWORKS["convolutions"]
    parameters, pixels, labels = sample(pixels_of, 3, bits=None)
    dynamics = DYNAMICS["spikes, odd-even"]
    whole = compiled.gradient(pixels_of, dynamics, parameters, pixels, labels, threads=1)
    for threads, part in ((3, slice(None)), (1, slice(5, 17)), (2, slice(20, 21))):
        some = compiled.gradient(pixels_of, dynamics, parameters, pixels[part], labels[part], threads=threads)
        assert torch.equal(whole.last[part], some.last)
        assert all(torch.equal(a[part], b) for a, b in zip(whole.biases, some.biases, strict=True))
        for histories, parts in ((whole.sent, some.sent), (whole.drives, some.drives)):
            assert all(torch.equal(a[:, part], b) for a, b in zip(histories, parts, strict=True))


def test_what_was_sent_is_what_the_phases_send():
    dynamics = DYNAMICS["spikes"]
    parameters, pixels, labels = sample(NETWORKS["dense"], 4, bits=2)
    found = compiled.gradient(NETWORKS["dense"], dynamics, parameters, pixels, labels)
    averaged = compiled.averages(NETWORKS["dense"], dynamics, parameters, pixels, None)
    assert torch.equal(found.last, averaged["free"][-1])
    assert all(set(x.unique().tolist()) == {0.0, 1.0} for x in found.sent)


@pytest.mark.parametrize(
    ("net", "dynamics"),
    [
        (NETWORKS["alpha 2"], EXACT),
        (NETWORKS["weak feedback"], EXACT),
        (NETWORKS["dense"], replace(EXACT, image_spikes=True)),
    ],
)
def test_what_has_no_compiled_derivative(net, dynamics):
    parameters, pixels, labels = sample(net, 5, bits=None)
    assert not compiled.differentiable(net, dynamics)
    with pytest.raises(NativeError, match="no compiled derivative of maxima, of a way back that isn't"):
        backprop.compiled_update(net, dynamics, parameters, pixels, labels)


def test_products_after_pooling_are_the_products():
    (link, *_) = Network((PaddedConv(3, 5), Dense(10))).links
    random = torch.Generator().manual_seed(6)
    pre, post = (
        torch.randint(0, 8, (4, *shape), generator=random).float() for shape in (link.pre, link.post)
    )
    w = torch.zeros(link.weight_shape)
    assert torch.equal(backprop.products(link, pre, post), network.products(link, pre, post, w))


def test_a_system_learns_the_same_either_way():
    """Without spikes, which rounding could flip, a short run has equal errors and close weights."""
    c = next(c for c in table_two("mnist", 16) if (c.name, c.variant) == ("crnn-bptt", "tuned"))
    images = datasets.load("embedded", None)
    runs = [train(SystemRun(c, 96, 1, 1, parts=1, engine=engine), images) for engine in ("torch", "compiled")]
    assert runs[0].training == runs[1].training
    for one, other in zip(runs[0].parameters.weights, runs[1].parameters.weights, strict=True):
        assert float((one - other).abs().max()) <= 1e-4 * float(one.abs().max())
