"""A trace has what the engines compute, bit for bit, and is refused if it needs too much memory."""

import numpy as np
import pytest
import torch

import nudge
from nudge.golden.model import recording
from nudge.golden.model.batch import trace, train_batch
from nudge.plumbing.errors import ModelError, UsageError
from tests.sets import noise

DATA = nudge.data("embedded")
PHASES = ("free", "plus", "minus")


@pytest.fixture(scope="module", params=["tiny", "small", "garments", "all at once"])
def net(request):
    if request.param == "all at once":
        stages = (nudge.Conv(2, kernel=4), nudge.Conv(3), nudge.Dense(10))
        return nudge.Network(
            stages, schedule={"order": "all", "decay_shift": 3}, learning={"gain": 3.0}, seed=4
        )
    data = "fashion-mnist" if request.param == "garments" else "mnist"
    return nudge.Network.load(f"{request.param}-{data}")


@pytest.fixture(scope="module")
def traced(net):
    return net.trace(DATA.test_images[3], int(DATA.test_labels[3]))


@pytest.mark.parametrize("engine", ["auto", "plain", "folded"])
def test_it_ends_where_the_engines_do(net, traced, engine):
    labels = DATA.test_labels[3:4]
    result = train_batch(net.spec, net.settings, net.parameters, DATA.test_images[3:4], labels, engine=engine)
    assert traced.prediction == int(result.predictions[0])
    layers = range(1, len(net.spec.layers))
    fired = [sum(np.count_nonzero(getattr(traced, phase)[n].spikes) for phase in PHASES) for n in layers]
    assert fired == result.spikes
    for update, weight, bias in zip(
        traced.updates, result.updates.weights, result.updates.biases, strict=True
    ):
        assert np.array_equal(update.weight, weight.numpy())
        assert np.array_equal(update.bias, bias.numpy())


def test_every_sweep_is_the_plain_model_s(net, traced):
    steps = trace(
        net.spec, net.settings, net.parameters, DATA.test_images[3], int(DATA.test_labels[3]), engine="plain"
    )
    count = 0
    for phase, t, states, drives in steps:
        for n, (state, drive) in enumerate(zip(states, drives, strict=True), start=1):
            layer = getattr(traced, phase)[n]
            found = (layer.decoder, layer.membrane, layer.spikes, layer.xi, layer.drive)
            for ours, theirs in zip(found, (*state, drive), strict=True):
                assert np.array_equal(ours[t], theirs.numpy()), (phase, t, n)
        count += 1
    assert count == sum(len(getattr(traced, phase)) for phase in PHASES)


@pytest.mark.parametrize("net", ["tiny", "small", "all at once"], indirect=True)
def test_types_hold_every_width(net, traced):
    """The stored arrays lose no bits: the neuron's equations hold among them.

    U[t+1] = U[t] + xi[t+1] - one s[t+1], with s[t+1] = 1 where U[t] + (xi[t+1] << k) > threshold.
    """
    f, k = net.spec.formats, net.spec.schedule.decay_shift
    for phase in PHASES:
        for n in range(1, len(net.spec.layers)):
            layer = getattr(traced, phase)[n]
            U, xi, s = layer.membrane.astype(int), layer.xi.astype(int), layer.spikes.astype(int)
            assert np.array_equal(U[1:], U[:-1] + xi[1:] - f.one * s[1:])
            assert np.array_equal(s[1:], (U[:-1] + (xi[1:] << k) > f.threshold).astype(int))
            assert np.array_equal(layer.window_sum, xi[-net.spec.schedule.window :].sum(0))


def test_integers_become_numbers(net, traced):
    free, nudged = traced.free[1], traced.plus[1]
    assert {name: free.lsb[name] for name in ("spikes", "xi", "membrane", "decoder")} == {
        "spikes": 1.0,
        "xi": 2**-8,
        "membrane": 2**-8,
        "decoder": 2**-12,
    }
    weaker = net.spec.schedule.feedback_shift
    assert free.lsb["drive"] == 2.0 ** -(9 + weaker)
    fine = net.spec.schedule.fine
    assert nudged.lsb["spikes"] == 2.0 ** -(fine[0] if fine else 0)
    assert nudged.lsb["xi"] == 2**-8 * nudged.lsb["spikes"]


def test_levels_are_xi_in_every_phase(net, traced):
    """Fine spikes' deviations add to the free phase's end; the nudge moves the label's output up or down."""
    assert (traced.plus[1].spikes.min() < 0) == bool(net.spec.schedule.fine)
    for n in range(1, len(net.spec.layers)):
        levels = traced.levels(n)
        for phase in PHASES:
            layer = getattr(traced, phase)[n]
            assert 0 <= levels[phase].min() <= levels[phase].max() <= net.spec.formats.one
            if phase == "free" or not net.spec.schedule.fine:
                assert np.array_equal(levels[phase], layer.xi)
            else:
                moved = (levels[phase] - traced.free[n].xi[-1]) * traced.free[n].lsb["xi"]
                assert (abs(moved - layer.xi * layer.lsb["xi"]) < 2**-8).all()
    label = levels["plus"][-1, traced.label, 0, 0], levels["minus"][-1, traced.label, 0, 0]
    assert label[0] >= label[1]


def test_without_a_label_there_is_a_free_phase_alone(net, traced):
    free = net.trace(DATA.test_images[3].numpy())
    assert free.label is None
    assert free.updates == ()
    assert np.array_equal(free.free[1].membrane, traced.free[1].membrane)
    with pytest.raises(UsageError, match=r"a trace without a label has no plus phase"):
        free.plus
    with pytest.raises(UsageError, match=r"layer must be 1\.\.\d \(layer 0 is the image"):
        free.free[0]


def test_one_too_large_is_refused_before_it_is_allocated(net, monkeypatch):
    needed = recording.size(net.spec, net.settings, True)
    trace = net.trace(DATA.test_images[0], 1, limit=needed)
    arrays = [getattr(trace, phase)[n] for phase in PHASES for n in range(1, len(net.spec.layers))]
    kept = sum(getattr(layer, name).nbytes for layer in arrays for name in (*recording.TYPES, "window_sum"))
    assert kept + sum(u.weight.nbytes + u.bias.nbytes for u in trace.updates) == needed
    monkeypatch.setattr(recording.np, "empty", None)
    with pytest.raises(
        ModelError, match=rf"has {needed:,} bytes, {needed - 1:,} are allowed: take fewer sweeps$"
    ):
        net.trace(DATA.test_images[0], 1, limit=needed - 1)


def test_a_raster_marks_each_spike(traced):
    figure = traced.plot(neurons=10**6)
    for n, axes in enumerate(figure.axes, start=1):
        spikes = sum(np.count_nonzero(getattr(traced, phase)[n].spikes) for phase in PHASES)
        assert len(axes.collections[0].get_offsets()) == spikes


@pytest.mark.parametrize(("classes", "named"), [(5, True), (64, False)])
def test_any_images_and_classes_are_drawn_with_names(classes, named):
    """Up to ten outputs have names beside them; of 64, all are drawn."""
    names = [f"thing {n}" for n in range(classes)]
    shown = {"channels": 3, "height": 16, "width": 12, "classes": classes}
    net = nudge.Network((nudge.Conv(2, 5, 2), nudge.Dense(classes)), input=shown, seed=1)
    arrays = noise(net.spec.input, 8, 4)
    net.fit(nudge.Data(**arrays, classes=names), free_steps=4, nudged_steps=4)
    trace = net.trace(arrays["test_images"][0], 1)
    assert repr(trace).endswith(f"read as thing {trace.prediction}>")
    figure = trace.plot()
    assert (
        figure.get_suptitle() == f"mine: spikes of one image, read as thing {trace.prediction}, label thing 1"
    )
    outputs = figure.axes[-1]
    assert outputs.get_ylim() == (-0.7, classes - 0.3)
    assert outputs.get_ylabel() == ("class" if named else "neuron")
    assert ([each.get_text() for each in outputs.get_yticklabels()] == names) == named


def test_torch_weights_reproduce_the_static_drive(net):
    """torch's own convolution and pooling compute it in float32, where every sum is exact."""
    state, scale = net.to_torch()
    assert state["bundle1.weight"].dtype == torch.float32
    images = DATA.test_images[:20, None].float() / 256
    drive = torch.nn.functional.avg_pool2d(torch.nn.functional.conv2d(images, state["bundle1.weight"]), 2)
    lsb = 2.0**-net.spec.formats.phi_fraction
    ours = torch.floor(drive.double() / lsb + 0.5)
    # the first sweep reads the static drive alone, since nothing has spiked before
    for image, expected in zip(DATA.test_images[:20], ours, strict=True):
        first = next(iter(trace(net.spec, net.settings, net.parameters, image, None)))
        assert torch.equal(first.drives[0], expected.long() << net.spec.schedule.feedback_shift)
    masters, scales = net.to_torch(masters=True)
    for name, values in net.weights.items():
        assert np.array_equal(masters[name].numpy() / scales[name], values)
    assert all((state[name] / scale[name]).frac().abs().max() == 0 for name in state)
