"""If threads outnumber groups of samples, teams of threads share a group, and no bit changes."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.contract.schedule import ORDERS, Schedule
from golden.contract.shapes import Conv, Dense, Input
from golden.contract.spec import Learning, Spec
from golden.model import native
from golden.model.batch import infer, train_batch
from golden.model.settings import Settings
from plumbing import compiler

from .random_nets import random_images, random_parameters, random_settings, same_parameters, with_fine_spikes

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")

#: Samples in a group, and channels in one thread's unit of work: LANES and Team::UNIT of golden/model/cpp.
LANES, UNIT = 16, 16

#: Channels of hidden layers: two to five units, of which the last is seldom full.
CHANNELS = st.integers(UNIT + 1, 5 * UNIT)


@st.composite
def nets(draw) -> Spec:
    """Draw 0 to 2 convolutions and 1 or 2 dense layers, with any order, feedback, fine spikes and commits."""
    hidden = [Conv(draw(CHANNELS), draw(st.integers(1, 3))) for _ in range(draw(st.integers(0, 2)))]
    dense = [Dense(draw(CHANNELS)) for _ in range(draw(st.integers(0 if hidden else 1, 1)))]
    classes = draw(st.integers(2, 20))
    stages: tuple[Conv | Dense, ...] = (*hidden, *dense, Dense(classes))
    window = draw(st.integers(0, 2))
    free, nudged = (draw(st.integers(1 << window, (1 << window) + 3)) for _ in range(2))
    halvings = tuple(sorted(draw(st.sets(st.integers(1, free), max_size=2))))
    schedule = Schedule(free, nudged, window, draw(st.integers(0, 2)), draw(st.sampled_from(ORDERS)), halvings)
    shown = Input(1, draw(st.integers(8, 12)), draw(st.integers(8, 12)), classes)
    spec = Spec("random", stages, schedule, Learning((0.1,) * len(stages)), input=shown)
    return with_fine_spikes(lambda low, high: draw(st.integers(low, high)), spec)


@pytest.fixture
def worked(monkeypatch):
    """The number of threads that took part in each call."""
    counts, true = [], native.library().nudge_run

    def recorded(*arguments):
        counts.append(true(*arguments))
        return counts[-1]

    monkeypatch.setattr(native.library(), "nudge_run", recorded)
    return counts


def most(spec: Spec, batch: int, threads: int) -> int:
    """Return the number of threads that have work.

    All groups have teams of the same size, and each member has units of every hidden layer.
    """
    groups = -(-batch // LANES)
    units = min(-(-layer.shape[0] // UNIT) for layer in spec.layers[1:-1])
    crews = min(groups, threads)
    return crews * min(threads // crews, units)


ALLOWED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=ALLOWED)
@given(spec=nets(), seed=st.integers(0, 1 << 32), batch=st.integers(1, 2 * LANES), threads=st.integers(2, 9))
def test_a_team_computes_what_one_thread_does(worked, spec, seed, batch, threads):
    worked.clear()
    random = np.random.default_rng(seed)
    parameters, registers = random_parameters(spec, random, 0.5), random_settings(spec, random)
    images, labels = random_images(batch, random, spec.input)
    plain = train_batch(spec, registers, parameters, images, labels, engine="plain")
    team = train_batch(spec, registers, parameters, images, labels, engine="native", threads=threads)
    assert torch.equal(plain.predictions, team.predictions)
    assert plain.spikes == team.spikes
    assert same_parameters(plain.updates, team.updates)
    predictions, spikes = infer(spec, registers, parameters, images, engine="native", threads=threads)
    assert torch.equal(predictions, plain.predictions)
    assert spikes == infer(spec, registers, parameters, images, engine="native", threads=1)[1]
    assert worked == [most(spec, batch, threads)] * 2 + [most(spec, batch, 1)]


def test_many_groups_in_a_row(worked):
    """A member ahead of its team would show in 40 groups, each of which begins when the last has ended."""
    stages = (Conv(33, 3), Dense(40), Dense(10))
    spec = Spec("made", stages, Schedule(4, 2, 1, centred=True), Learning((0.1,) * 3), input=Input(1, 8, 8))
    random = np.random.default_rng(5)
    parameters, (images, labels) = random_parameters(spec, random, 0.5), random_images(LANES, random, spec.input)
    for _ in range(40):
        arguments = spec, Settings.of(spec), parameters, images, labels
        one, three = (train_batch(*arguments, engine="native", threads=threads) for threads in (1, 3))
        assert one.spikes == three.spikes
        assert same_parameters(one.updates, three.updates)
        parameters = replace_weights(parameters, one.updates)
    assert worked == [1, 3] * 40


def replace_weights(parameters, updates):
    """Return other weights for the next round, far from the last ones but within their range."""
    moved = tuple((w + 37 * u) % (1 << 15) - (1 << 14) for w, u in zip(parameters.weights, updates.weights, strict=True))
    return parameters._replace(weights=moved)
