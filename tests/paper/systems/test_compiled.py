"""The paper's phases in compiled form equal torch's bit for bit if nothing is rounded, else closely."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from nudge.golden.contract.shapes import Dense
from nudge.paper.systems import compiled, phases
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.network import Network, PaddedConv, Parameters
from nudge.paper.systems.neuron import Dynamics
from nudge.paper.systems.train import infer, update
from nudge.plumbing import compiler
from nudge.plumbing.errors import NativeError

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")

NETWORKS = {
    "convolutions": Network((PaddedConv(5), PaddedConv(9), Dense(12), Dense(10))),
    "kernel 5": Network((PaddedConv(3, 5), PaddedConv(4, 2), Dense(10))),
    "softmax": Network((PaddedConv(4), Dense(9), Dense(10)), softmax=True),
    "dense": Network((Dense(20), Dense(10))),
    "weak feedback": Network((PaddedConv(5), Dense(12), Dense(10)), feedback=0.25),
    "alpha 2": Network((PaddedConv(3), PaddedConv(4), Dense(10)), alpha=2.0),
    "colour in 23 classes": Network((PaddedConv(3), Dense(9), Dense(23)), feedback=0.25, image=(3, 12, 16)),
}
#: Constants that are powers of two: with weights, pixels and states of few bits, float32 rounds nothing.
EXACT = Dynamics(6, 4, 2, 0.5, 1.0, 0.5)
DYNAMICS = {
    "board": EXACT,
    "image spikes": replace(EXACT, image_spikes=True, window=1),
    "two phases": replace(EXACT, three_phases=False, clip_nudge=False),
    "real": replace(EXACT, spiking=False, rate=0.5),
    "odd-even": replace(EXACT, order="odd-even"),
    "odd-even, image spikes": replace(EXACT, order="odd-even", image_spikes=True, window=1),
    "fine": replace(EXACT, fine=(3, 2, 1, 0), clip_nudge=False),
    "odd-even, image spikes, fine": replace(EXACT, order="odd-even", image_spikes=True, fine=(2, 1, 2, 1)),
}
#: Dynamics that float32 rounds: Table I's, with annealing, and without spikes.
ROUNDED = {
    "table 1": Dynamics(9, 5, 1, 0.6, 0.9, 0.1, image_spikes=True),
    "annealed": Dynamics(9, 5, 3, 0.6, 0.354, 0.2, prediction_decay=0.5, rate_decay=0.3, image_spikes=True),
    "real": Dynamics(9, 5, 1, 0.6, 0.9, 0.1, spiking=False),
    "odd-even": Dynamics(9, 5, 1, 0.6, 0.9, 0.1, spiking=False, order="odd-even"),
    "fine": Dynamics(9, 5, 3, 0.6, 0.9, 0.2, prediction_decay=0.5, fine=(5, 4, 2, 1)),
}
BATCH = 37


def sample(network: Network, seed: int, bits: int | None) -> tuple[Parameters, torch.Tensor, torch.Tensor]:
    """Draw weights, biases, pixels and labels. bits: binary places of each value; None: any float32."""
    random = torch.Generator().manual_seed(seed)

    def draw(shape, low, high):
        x = low + (high - low) * torch.rand(shape, generator=random)
        return x if bits is None else (x * 2**bits).round() / 2**bits

    weights = tuple(draw(link.weight_shape, -1, 1) for link in network.links)
    biases = tuple(draw((link.post[0],), -0.5, 0.5) for link in network.links)
    pixels = draw((BATCH, *network.image), 0, 1)
    return Parameters(weights, biases), pixels, torch.randint(network.classes, (BATCH,), generator=random)


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "softmax"])  # exp is rounded
@pytest.mark.parametrize("kind", DYNAMICS)
def test_equal_bits_where_nothing_is_rounded(name, kind, steps):
    network, dynamics = (
        NETWORKS[name],
        replace(DYNAMICS[kind], free=steps, window=min(steps, DYNAMICS[kind].window)),
    )
    parameters, pixels, labels = sample(network, 1, bits=2)
    if kind == "real":
        # each step has one more product, and so more bits
        dynamics = replace(dynamics, nudged=1, window=1, free=min(steps, 2))
    expected = phases.averages(network, dynamics, parameters, pixels, labels)
    got = compiled.averages(network, dynamics, parameters, pixels, labels)
    assert got.keys() == expected.keys()
    for phase, layers in expected.items():
        for n, (one, other) in enumerate(zip(layers, got[phase], strict=True), start=1):
            assert torch.equal(one, other), (
                f"{phase}, layer {n}: {int((one != other).sum())} of {one.numel()} differ"
            )
    if steps > 2 or kind == "real":
        assert 0.02 < float(expected["free"][0].mean()) < 0.98, "all neurons rest, or none"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ROUNDED)
def test_close_where_float32_rounds(name, kind):
    """A spike may differ if a potential is at the threshold, so one neuron in 1,000 may differ."""
    network, dynamics = NETWORKS[name], ROUNDED[kind]
    parameters, pixels, labels = sample(network, 2, bits=None)
    expected = phases.averages(network, dynamics, parameters, pixels, labels)
    got = compiled.averages(network, dynamics, parameters, pixels, labels)
    for phase, layers in expected.items():
        for one, other in zip(layers, got[phase], strict=True):
            assert float(((one - other).abs() > 1e-4).double().mean()) <= 1e-3, phase


def test_nothing_but_the_sample_counts():
    network, dynamics = NETWORKS["convolutions"], ROUNDED["table 1"]
    parameters, pixels, labels = sample(network, 3, bits=None)
    whole = compiled.averages(network, dynamics, parameters, pixels, labels, threads=1)
    for threads, part in ((3, slice(None)), (1, slice(5, 17)), (2, slice(20, 21))):
        some = compiled.averages(network, dynamics, parameters, pixels[part], labels[part], threads=threads)
        assert all(
            torch.equal(a[part], b) for phase in whole for a, b in zip(whole[phase], some[phase], strict=True)
        )


@pytest.mark.parametrize("threshold", [0.5, -0.25])  # below 0, neurons of black pixels spike too
@pytest.mark.parametrize("count", [1, 10, 20, 25])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_outputs_along_a_vector_have_the_bits_of_samples_along_it(threads, count, threshold):
    """A vector holds outputs for batches of 20 in dense networks, and samples for batches of 32."""
    network, dynamics = NETWORKS["dense"], replace(ROUNDED["annealed"], threshold=threshold)
    parameters, pixels, labels = sample(network, 2, bits=None)
    pixels[:, :, :, :9] = 0  # black in all images
    pixels[::3, :, 9:] = 0
    everything = compiled.averages(network, dynamics, parameters, pixels[:32], labels[:32], threads=1)
    got = compiled.averages(network, dynamics, parameters, pixels[:count], labels[:count], threads=threads)
    for phase, layers in got.items():
        for layer, one in zip(layers, everything[phase], strict=True):
            assert torch.equal(layer, one[:count]), phase


STILL = 1e-3
MAXIMUM = {
    "two convolutions": Network((PaddedConv(5, 5), PaddedConv(37, 2), Dense(10)), pooling="maximum"),
    "odd maps": Network((PaddedConv(17, 4), PaddedConv(3), Dense(20), Dense(10)), pooling="maximum"),
    "dense": Network((Dense(20), Dense(10)), pooling="maximum"),
    "weak feedback": Network(
        (PaddedConv(5), PaddedConv(9), Dense(20), Dense(10)), pooling="maximum", feedback=0.25
    ),
}


@pytest.mark.parametrize("name", MAXIMUM)
@pytest.mark.parametrize(("clip_nudge", "rate"), [(True, 0.5), (False, 1.0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_maximum_pooling_has_equal_bits_where_nothing_is_rounded(name, clip_nudge, rate, threads):
    network = MAXIMUM[name]
    dynamics = Dynamics(3, 2, 1, rate=rate, beta=0.5, spiking=False, clip_nudge=clip_nudge)
    parameters, pixels, labels = sample(network, 7, bits=2)
    random = torch.Generator().manual_seed(8)
    few = [w * (torch.rand(w.shape, generator=random) < 60 / w[0].numel()) for w in parameters.weights]
    parameters = Parameters(tuple(few), parameters.biases)  # so that sums have few bits too
    expected = phases.averages(network, dynamics, parameters, pixels, labels)
    got = compiled.averages(network, dynamics, parameters, pixels, labels, threads=threads)
    assert got.keys() == expected.keys() == {"free", "plus", "minus"}
    for phase, layers in expected.items():
        for one, other in zip(layers, got[phase], strict=True):
            assert torch.equal(one, other), phase
    assert 0.02 < float(expected["free"][0].mean()) < 0.98, "all neurons rest, or none"


@pytest.mark.parametrize("name", MAXIMUM)
def test_a_sample_stands_still_by_itself(name):
    """In both engines a sample's free phase ends at its first step with small enough moves."""
    network = MAXIMUM[name]
    parameters, pixels, labels = sample(network, 9, bits=None)
    parameters = Parameters(tuple(w / w[0].numel() ** 0.5 for w in parameters.weights), parameters.biases)
    dynamics = Dynamics(60, 3, 1, beta=0.4, spiking=False, clip_nudge=False, three_phases=False, still=STILL)
    endless = replace(dynamics, still=None)
    trace = [step.layers for step in phases.steps(network, endless, parameters, pixels, None)]
    moves = [
        torch.stack([(a.xi - b.xi).abs().amax((1, 2, 3)) for a, b in zip(new, old, strict=True)]).amax(0)
        for old, new in pairwise(trace)
    ]
    small = torch.stack(moves) <= STILL
    clear = (torch.stack(moves) - STILL).abs().amin(0) > 1e-5  # so that the order of sums decides nothing
    assert clear.sum() > BATCH // 2
    ends = torch.where(small.any(0), 1 + small.int().argmax(0), dynamics.free - 1)  # from 0 within the phase
    assert len(ends.unique()) > 1, f"all samples stand still at once: {ends}"
    wanted = [
        torch.stack([trace[end][n].xi[i] for i, end in enumerate(ends.tolist())])
        for n in range(len(network.dynamic))
    ]
    for averages in (phases.averages, compiled.averages):
        got = averages(network, dynamics, parameters, pixels, labels)
        assert all(float((a - b)[clear].abs().max()) < 1e-5 for a, b in zip(got["free"], wanted, strict=True))
        for part in (slice(0, 5), slice(5, 20)):
            some = averages(network, dynamics, parameters, pixels[part], labels[part])
            pairs = [pair for phase in got for pair in zip(got[phase], some[phase], strict=True)]
            assert all(float((a[part] - b)[clear[part]].abs().max()) < 1e-5 for a, b in pairs)


def test_nothing_but_the_sample_counts_with_maximum_pooling():
    network, dynamics = MAXIMUM["odd maps"], Dynamics(9, 5, 1, rate=0.9, beta=0.1, spiking=False)
    parameters, pixels, labels = sample(network, 3, bits=None)
    whole = compiled.averages(network, dynamics, parameters, pixels, labels, threads=1)
    some = compiled.averages(network, dynamics, parameters, pixels[5:17], labels[5:17], threads=2)
    assert all(
        torch.equal(a[5:17], b) for phase in whole for a, b in zip(whole[phase], some[phase], strict=True)
    )


def test_inference_is_the_free_phase_alone():
    network, dynamics = NETWORKS["softmax"], ROUNDED["real"]
    parameters, pixels, _ = sample(network, 4, bits=None)
    assert list(compiled.averages(network, dynamics, parameters, pixels, None)) == ["free"]


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        (Network((PaddedConv(4, 5, 2), Dense(10))), torch.float32),
        (Network((PaddedConv(4), Dense(10)), pooling="maximum"), torch.float32),  # spikes
        (NETWORKS["dense"], torch.float64),
    ],
)
def test_what_has_no_compiled_form(network, kind):
    parameters, pixels, labels = sample(network, 5, bits=None)
    assert not compiled.possible(network, EXACT, pixels.to(kind))
    with pytest.raises(
        NativeError, match="no compiled form of this network, these dynamics, this type or device"
    ):
        compiled.averages(network, EXACT, parameters, pixels.to(kind), labels)


def test_a_system_learns_the_same():
    """The convergent network's updates by both engines are close; predictions (large margins) are equal."""
    c = next(c for c in table_two("mnist", 16) if (c.name, c.variant) == ("crnn-ep", "tuned"))
    c = replace(c, dynamics=replace(c.dynamics, free=16, nudged=8))
    parameters = c.network.initial(1, c.gain)
    _, x, labels = sample(c.network, 6, bits=None)
    one, other = (update(c, parameters, x, labels, engine=engine) for engine in ("torch", "compiled"))
    assert torch.equal(one.predictions, other.predictions)
    for group, same in zip(one.delta, other.delta, strict=True):
        for a, b in zip(group, same, strict=True):
            assert float((a - b).abs().max()) <= 1e-3 * float(a.abs().max())
    assert torch.equal(infer(c, parameters, x), infer(c, parameters, x, "compiled"))
