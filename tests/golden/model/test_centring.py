"""Centred updates don't depend on how a batch is split, and equal those of the floating-point system."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from nudge.golden.contract.shapes import Dense
from nudge.golden.model import centring, ops
from nudge.golden.model.batch import train_batch
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import Parameters, zeros
from nudge.paper.systems import centre
from nudge.plumbing.errors import ModelError

from .random_nets import MINUSCULE, random_images, random_parameters, random_settings, same_parameters

CENTRED = replace(MINUSCULE, schedule=replace(MINUSCULE.schedule, centred=True))
DENSE = replace(CENTRED, stages=(Dense(7), Dense(10)), learning=replace(CENTRED.learning, rates=(0.2, 0.16)))


@pytest.fixture(params=[CENTRED, DENSE], ids=["convolutions", "dense"])
def spec(request):
    return request.param


def trained(spec, images, labels, *parts: slice):
    """Return the masters after one commit of these parts of a batch, those before, and the settings."""
    random = np.random.default_rng(4)
    parameters, settings = random_parameters(spec, random, 0.3), random_settings(spec, random)
    model = FixedModel(spec, settings, parameters)
    for part in parts:
        model.train(images[part], labels[part])
    model.commit()
    return model.parameters, parameters, settings


def test_a_batch_may_be_split(spec):
    images, labels = random_images(7, np.random.default_rng(2))
    whole, before, _ = trained(spec, images, labels, slice(None))
    split, *_ = trained(spec, images, labels, slice(0, 4), slice(4, 5), slice(5, 7))
    assert same_parameters(split, whole)
    assert not same_parameters(whole, before)


def test_a_run_goes_on_from_its_parameters_alone(spec):
    images, labels = random_images(6, np.random.default_rng(3))
    one, _, settings = trained(spec, images, labels, slice(0, 3))
    model, again = (FixedModel(spec, settings, one) for _ in range(2))
    model.train(images[3:], labels[3:])
    model.commit()
    kept = model.parameters
    again.train(images[:2], labels[:2])
    again.commit()
    again.load(one)
    again.train(images[3:], labels[3:])
    again.commit()
    assert same_parameters(again.parameters, kept)


def test_the_mean_is_of_what_each_channel_reads():
    spec, (images, labels) = CENTRED, random_images(5, np.random.default_rng(5))
    random = np.random.default_rng(4)
    result = train_batch(
        spec, random_settings(spec, random), random_parameters(spec, random, 0.3), images, labels
    )
    (pixels, *_), bundle = result.updates.means, spec.bundles[0]
    exact = images.double().mean() / 256
    assert int(centring.mean(spec, bundle, pixels, 5)) == int(torch.floor(exact * 4096 + 0.5))
    full = torch.tensor([5 * bundle.post.positions * 256 * spec.schedule.window] * 2)
    assert centring.mean(spec, spec.bundles[1], full, 5).tolist() == [4096] * 2, "1.0 of xi is 1.0 of a bias"


def test_a_running_mean_ends_where_its_batches_are():
    kept, now = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1000, 4096])
    first = centring.follow(kept, now)
    for _ in range(400):
        kept = centring.follow(kept, now)
    assert first.tolist() == now.tolist(), "by 1/32 of the way"
    assert (ops.rhu(kept, centring.FOLLOW) - now).abs().max() <= 1
    assert int(kept.max()) < 1 << 18


def test_it_is_what_the_floating_point_systems_have(spec):
    """Both are the same algebra, except that means are rounded to 12 binary places, and results too."""
    random = np.random.default_rng(6)
    masters, updates = random_parameters(spec, random, 0.1), random_parameters(spec, random, 0.1)
    found = centring.commit(spec, masters, updates, 3)
    for w, b, kept, dw, db, _, weight, bias, _ in zip(*masters, *updates, *found, strict=True):
        mean = ops.rhu(kept, centring.FOLLOW).double() / 4096
        there, bias_there = centre.centred(dw.double(), db.double(), mean)
        assert (weight - w - there).abs().max() <= 0.5
        low, high = spec.formats.master_low, spec.formats.master_high
        assert (bias - (b + bias_there).clamp(low, high)).abs().max() <= 0.5 + 0.5 * weight[0].numel()
        assert (bias > low).any()


def test_a_commit_of_no_samples_changes_nothing(spec):
    random = np.random.default_rng(8)
    before = random_parameters(spec, random)
    model = FixedModel(spec, parameters=before)
    assert model.commit() == 0
    assert same_parameters(model.parameters, before)


def test_a_bias_makes_up_for_what_clipping_leaves_of_a_move():
    spec, none = DENSE, zeros(DENSE)
    masters = Parameters(
        *(tuple(torch.full_like(x, spec.formats.master_high) for x in group) for group in none)
    )
    updates = none._replace(weights=tuple(torch.full_like(w, 100) for w in none.weights))
    found = centring.commit(spec, masters, updates, 5)
    assert same_parameters(found._replace(means=()), masters._replace(means=())), "no weight can move"


def test_updates_as_they_are_need_no_more():
    images, labels = random_images(2, np.random.default_rng(1))
    random = np.random.default_rng(4)
    parameters, settings = random_parameters(MINUSCULE, random, 0.3), random_settings(MINUSCULE, random)
    assert train_batch(MINUSCULE, settings, parameters, images, labels).updates.means == ()


def test_parameters_without_means_are_refused():
    with pytest.raises(ModelError, match=re.escape("running means must be [(1,), (2,), (2,), (3,)], not []")):
        FixedModel(CENTRED, parameters=zeros(MINUSCULE))
