"""The spikes of the busiest unit equal those counted over every candidate of every window."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from nudge.golden.contract.event_units import backward_place, forward_place
from nudge.golden.contract.network_file import network
from nudge.golden.contract.presets import preset
from nudge.golden.model import activity
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import load


@pytest.fixture(params=[(4, 6), (5, 18)])
def bundle(request):
    pre, post = request.param
    return network({"name": "n", "stage": [{"conv": pre}, {"conv": post}, {"dense": 10}]}, "n").bundles[1]


def drawn(layer):
    return np.random.default_rng(1).random((2, 3, *layer.shape)) < 0.4


def at(spikes, y, x):
    inside = 0 <= y < spikes.shape[1] and 0 <= x < spikes.shape[2]
    return spikes[:, y, x] if inside else np.zeros(len(spikes), bool)


def test_forward_windows(bundle):
    spikes, post = drawn(bundle.pre), bundle.post
    found = activity.busiest_forward(bundle, spikes)
    for sample, sweep in product(range(2), range(3)):
        expected = []
        for py, px in product(range(post.height), range(post.width)):
            taken: Counter[int] = Counter()
            for jy, jx, sy, sx in product(range(2), repeat=4):
                for channel, fired in enumerate(
                    at(spikes[sample, sweep], 2 * (py + jy) + sy, 2 * (px + jx) + sx)
                ):
                    unit, _ = forward_place(bundle.pre.channels, 2 * jy + jx, 2 * sy + sx, channel)
                    taken[unit] += int(fired)
            expected.append(max(taken.values()))
        assert found[sample, sweep].tolist() == expected


def test_backward_windows(bundle):
    spikes, post = drawn(bundle.post), bundle.post
    found = activity.busiest_backward(bundle, spikes)
    for sample, sweep in product(range(2), range(3)):
        expected = []
        for y, x in product(range(post.height + 1), range(post.width + 1)):
            taken: Counter[int] = Counter()
            for jy, jx in product(range(2), repeat=2):
                for channel, fired in enumerate(at(spikes[sample, sweep], y - 1 + jy, x - 1 + jx)):
                    taken[backward_place(post.channels, 2 * jy + jx, channel)[0]] += int(fired)
            expected.append(max(taken.values()))
        assert found[sample, sweep].tolist() == expected


def test_spikes_are_the_models():
    spec, digits = preset("tiny"), load("embedded")
    images, labels = digits.train_images[:5], digits.train_labels[:5]
    counted = activity.count(spec, Settings.of(spec), initial(spec, 0), images, labels)
    model = FixedModel(spec, parameters=initial(spec, 0))
    model.train(images, labels)
    assert [int(counted.spikes[n].sum()) for n in (1, 2)] == model.spikes
