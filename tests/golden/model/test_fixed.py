"""The bit-exact model: equal engines, batches in any order, saturation, initial weights, refused values."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Learning, Spec
from nudge.golden.model import chunks
from nudge.golden.model.batch import infer, trace, train_batch
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import Parameters, accumulate, initial, working, zeros
from nudge.golden.model.settings import Settings
from nudge.golden.training import data
from nudge.golden.training.epoch import order
from nudge.plumbing.errors import BoardError, ModelError

from .random_nets import MINUSCULE, random_images, random_parameters, same_parameters


@pytest.mark.parametrize("name", ["tiny", "small", "medium"])
def test_engines_are_equal_at_full_size_and_extreme_weights(name):
    spec = PRESETS[name]
    random = np.random.default_rng(3)
    top = (spec.formats.master_low, spec.formats.master_high)
    weights = tuple(torch.from_numpy(random.choice(top, b.weight_shape)) for b in spec.bundles)
    parameters = Parameters(weights, zeros(spec).biases)
    images, labels = random_images(2, random)
    images[0] = 255
    settings = replace(Settings.of(spec), free_steps=spec.schedule.window, nudged_steps=spec.schedule.window)
    plain, folded = (
        train_batch(spec, settings, parameters, images, labels, engine=e) for e in ("plain", "folded")
    )
    assert plain.spikes == folded.spikes
    assert torch.equal(plain.predictions, folded.predictions)
    assert same_parameters(plain.updates, folded.updates)


def test_the_paper_network_fits_the_exactness_bounds():
    spec = PRESETS["paper"]
    images, _ = random_images(1, np.random.default_rng(0))
    settings = replace(Settings.of(spec), free_steps=spec.schedule.window)
    predictions, spikes = infer(spec, settings, initial(spec, 0), images, engine="folded")
    assert predictions.shape == (1,)
    assert spikes[0] > 0


@pytest.mark.parametrize("engine", ["plain", "folded"])
def test_a_batch_may_be_split_and_shuffled(engine, monkeypatch):
    spec = PRESETS["tiny"]
    digits = data.load("embedded")
    images, labels = digits.train_images[:30], digits.train_labels[:30]
    settings, parameters = Settings.of(spec), initial(spec, 5)
    whole = train_batch(spec, settings, parameters, images, labels, engine=engine)
    monkeypatch.setattr(chunks, "CHUNK", 7)
    monkeypatch.setattr(chunks, "CORRELATIONS", 3 * 1000)
    numbers = torch.from_numpy(order(30, 1, 0))
    split = zeros(spec)
    spikes = [0] * len(spec.bundles)
    for part in (numbers[:11], numbers[11:12], numbers[12:]):
        result = train_batch(spec, settings, parameters, images[part], labels[part], engine=engine)
        split = accumulate(split, result.updates)
        spikes = [a + b for a, b in zip(spikes, result.spikes, strict=True)]
        assert torch.equal(result.predictions, whole.predictions[part])
    assert same_parameters(split, whole.updates)
    assert spikes == whole.spikes


def test_trace_is_what_training_does():
    spec = MINUSCULE
    random = np.random.default_rng(1)
    settings, parameters = Settings.of(spec), random_parameters(spec, random, 0.3)
    images, labels = random_images(1, random)
    steps = list(trace(spec, settings, parameters, images[0], int(labels[0])))
    schedule = [("free", t) for t in range(settings.free_steps)]
    schedule += [(phase, t) for phase in ("plus", "minus") for t in range(settings.nudged_steps)]
    assert [(step.phase, step.t) for step in steps] == schedule
    result = train_batch(spec, settings, parameters, images, labels)
    assert [sum(int(step.layers[n].s.sum()) for step in steps) for n in range(4)] == result.spikes
    free = sum(
        step.layers[-1].xi for step in steps if step.phase == "free" and step.t >= settings.free_steps - 2
    )
    assert int(torch.as_tensor(free).argmax()) == int(result.predictions[0])
    for step in steps:
        for layer, state in zip(spec.layers[1:], step.layers, strict=True):
            assert state.d.shape == state.U.shape == state.s.shape == state.xi.shape == layer.shape
            assert spec.membrane_low <= int(state.U.min()) <= int(state.U.max()) <= spec.membrane_high
    unlabelled = list(trace(spec, settings, parameters, images[0], None, engine="plain"))
    assert len(unlabelled) == settings.free_steps
    for a, b in zip(unlabelled, steps, strict=False):
        assert all(
            torch.equal(x, y)
            for p, q in zip(a.layers, b.layers, strict=True)
            for x, y in zip(p, q, strict=True)
        )


def test_inference_is_the_free_phase_of_training():
    spec = PRESETS["tiny"]
    random = np.random.default_rng(2)
    images, labels = random_images(9, random)
    settings, parameters = Settings.of(spec), random_parameters(spec, random, 0.2)
    predictions, spikes = infer(spec, settings, parameters, images)
    trained = train_batch(spec, settings, parameters, images, labels)
    assert torch.equal(predictions, trained.predictions)
    assert all(a < b for a, b in zip(spikes, trained.spikes, strict=True))


def test_the_lowest_class_wins_a_tie():
    spec = PRESETS["tiny"]
    images, _ = random_images(4, np.random.default_rng(0))
    for engine in ("plain", "folded"):
        predictions, spikes = infer(spec, Settings.of(spec), zeros(spec), images, engine=engine)
        assert predictions.tolist() == [0] * 4
        assert spikes == [0, 0]


def test_update_and_commit_saturate():
    spec = PRESETS["tiny"]
    model = FixedModel(spec, Settings.of(spec), initial(spec, 0))
    model.settings = replace(model.settings, beta=511, weight_rates=(65535,) * 2, bias_rates=(65535,) * 2)
    images, _ = random_images(64, np.random.default_rng(0))
    labels = torch.full((64,), 3)
    before = model.parameters
    updates = train_batch(spec, model.settings, before, images, labels).updates
    largest = max(int(u.abs().max()) for u in updates.weights + updates.biases)
    assert 0 < largest <= 64 * spec.formats.update_bound
    limit = 1 << (spec.formats.master_bits - 1)
    masters = accumulate(before, updates)
    assert all(-limit <= int(m.min()) and int(m.max()) < limit for m in masters.weights + masters.biases)
    for _ in range(25):
        model.train(images, labels)
        model.commit()
    tops = [int(m.max()) for m in model.parameters.weights + model.parameters.biases]
    assert max(tops) == spec.formats.master_high
    copies = working(spec, model.parameters)
    assert max(int(w.max()) for w in copies.weights) == spec.formats.weight_high
    assert max(int(b.max()) for b in copies.biases) == spec.formats.bias_high


def test_model_counts_and_refuses_like_a_board():
    spec = PRESETS["tiny"]
    digits = data.load("embedded")
    model = FixedModel(spec, parameters=initial(spec, 0))
    before = model.parameters
    predictions = model.train(digits.train_images[:40], digits.train_labels[:40])
    assert same_parameters(model.parameters, before), "masters are final only after commit"
    wrong = int((predictions != digits.train_labels[:40].numpy()).sum())
    assert (model.pending, model.samples, model.errors) == (40, 40, wrong)
    with pytest.raises(BoardError, match="40 pending samples and 30 more: at most 64"):
        model.train(digits.train_images[:30], digits.train_labels[:30])
    with pytest.raises(BoardError, match="40 samples are pending"):
        model.load(before)
    assert (model.pending, model.samples, model.errors) == (40, 40, wrong)
    spikes = model.spikes
    wrong += int(
        (
            model.infer(digits.test_images[:20], digits.test_labels[:20]) != digits.test_labels[:20].numpy()
        ).sum()
    )
    assert (model.pending, model.samples, model.errors) == (40, 60, wrong)
    assert all(a > b for a, b in zip(model.spikes, spikes, strict=True))
    assert model.commit() == 40
    assert not same_parameters(model.parameters, before)
    model.clear()
    assert (model.pending, model.samples, model.errors, model.spikes) == (0, 0, 0, [0, 0])


def test_training_twice_gives_the_same_bits():
    spec = PRESETS["tiny"]
    digits = data.load("embedded")
    models = [FixedModel(spec, parameters=initial(spec, 4), engine=e) for e in ("folded", "folded", "plain")]
    for model in models:
        for at in range(0, 60, 20):
            model.train(digits.train_images[at : at + 20], digits.train_labels[at : at + 20])
            model.commit()
    assert same_parameters(models[0].parameters, models[1].parameters)
    assert same_parameters(models[0].parameters, models[2].parameters)
    assert models[0].spikes == models[2].spikes


def test_initial_weights():
    spec = PRESETS["small"]
    first = initial(spec, 1)
    assert same_parameters(first, initial(spec, 1))
    assert not same_parameters(first, initial(spec, 2))
    for bundle, w, b in zip(spec.bundles, first.weights, first.biases, strict=True):
        bound = round(2**15 * spec.learning.gain / bundle.fan_in**0.5)
        assert tuple(w.shape) == bundle.weight_shape
        assert 0.9 * bound < int(w.abs().max()) <= bound
        assert abs(float(w.double().mean())) < 0.2 * bound
        assert not b.any()


def test_initial_weights_with_image_gain_sum_to_nothing():
    """Those of each neuron in bundle 1, within half a unit for each weight; other bundles' stay."""
    spec = PRESETS["cifar"]
    plain, scaled = (
        initial(replace(spec, learning=replace(spec.learning, gain=1.0, image_gain=x)), 1).weights
        for x in (1.0, 3.0)
    )
    assert scaled[0].sum((1, 2, 3)).abs().max() <= 27 / 2
    assert plain[0].sum((1, 2, 3)).abs().min() > 27 / 2
    centred = plain[0] - plain[0].double().mean((1, 2, 3), keepdim=True)
    assert (scaled[0] - 3 * centred).abs().max() <= 4
    assert all(torch.equal(x, y) for x, y in zip(plain[1:], scaled[1:], strict=True))


def test_settings_follow_learning():
    spec = Spec(
        "x", (Conv(2), Dense(10)), Schedule(20, 10), Learning((0.5, 0.2), beta=0.5, batch=32, decay=0.5)
    )
    settings = Settings.of(spec)
    assert settings == Settings(20, 10, 128, (4096, 1638), (4096, 1638))
    assert Settings.of(spec, epoch=2).weight_rates == (1024, 410)
    other = Settings.of(spec, Learning((0.1, 0.1), (0.2, 0.0), beta=1, batch=8), free=9, nudged=8)
    assert other == Settings(9, 8, 256, (1638, 1638), (3277, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"free_steps": 3}, r"free_steps must be 4\.\.4095, not 3"),
        ({"nudged_steps": 4096}, r"nudged_steps must be 4\.\.4095, not 4096"),
        ({"beta": 0}, r"beta must be 1\.\.511, not 0"),
        ({"weight_rates": (1,)}, "weight_rates must have 2 entries, not 1"),
        ({"bias_rates": (1, 65536)}, r"bias_rates\[1\] must be 0\.\.65535, not 65536"),
    ],
)
def test_bad_settings_are_refused(change, message):
    spec = PRESETS["tiny"]
    images, _ = random_images(1, np.random.default_rng(0))
    settings = replace(Settings.of(replace(spec, schedule=Schedule(16, 8, 2))), **change)
    with pytest.raises(ModelError, match=message):
        infer(spec, settings, zeros(spec), images)


def test_bad_input_is_refused():
    spec = PRESETS["tiny"]
    model = FixedModel(spec)
    images, labels = random_images(3, np.random.default_rng(0))
    with pytest.raises(
        ModelError, match=r"images must be uint8 \(n, 28, 28\), not torch.uint8 \(3, 27, 28\)"
    ):
        model.infer(images[:, 1:])
    with pytest.raises(ModelError, match=r"not torch\.float32"):
        model.infer(images.float())
    with pytest.raises(ModelError, match=r"labels must be \(3,\), one for each image, not \(2,\)"):
        model.train(images, labels[:2])
    with pytest.raises(ModelError, match=r"labels must be 0\.\.9, not 0\.\.10"):
        model.train(images, torch.tensor([0, 1, 10]))
    with pytest.raises(ModelError, match="bundle 1: weight and bias must be"):
        model.load(Parameters(model.parameters.weights[::-1], model.parameters.biases))
    assert (model.samples, model.pending) == (0, 0)


def test_no_images_give_no_predictions():
    spec = PRESETS["tiny"]
    predictions, spikes = infer(spec, Settings.of(spec), zeros(spec), np.zeros((0, 28, 28), np.uint8))
    assert predictions.shape == (0,)
    assert spikes == [0, 0]


def test_a_rounding_matmul_precision_is_refused():
    spec = PRESETS["tiny"]
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(RuntimeError, match="highest"):
            infer(spec, Settings.of(spec), zeros(spec), np.zeros((1, 28, 28), np.uint8), engine="folded")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_an_engine_that_there_is_not():
    spec, images = PRESETS["tiny"], np.zeros((1, 28, 28), np.uint8)
    settings, parameters = Settings.of(spec), zeros(spec)
    with pytest.raises(ModelError, match="engine must be auto, native, plain or folded, not 'fast'"):
        FixedModel(spec, engine="fast")
    with pytest.raises(ModelError, match="engine must be auto, native, plain or folded, not 'fast'"):
        infer(spec, settings, parameters, images, engine="fast")
    with pytest.raises(ModelError, match="a trace needs the engine plain or folded, not 'native'"):
        next(trace(spec, settings, parameters, images[0], None, engine="native"))
    with pytest.raises(ModelError, match="the native engine runs on the CPU, not on meta: take folded"):
        FixedModel(spec, device="meta", engine="native")
