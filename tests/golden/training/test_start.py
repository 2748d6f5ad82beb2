"""The running means of a new run are those of its first images."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nudge.golden.contract.config import configuration
from nudge.golden.contract.network_file import read
from nudge.golden.contract.schedule import FOLLOW
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import initial
from nudge.golden.training.data import Source, load
from nudge.golden.training.loop import started, train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard

CENTRED = read(Path(__file__).with_name("colour.toml"))
DATA = load("embedded", shown=CENTRED.input)


def measuring(images: int):
    """Return a network whose means begin with those of so many images, and a plan for two batches of 8."""
    spec = replace(CENTRED, learning=replace(CENTRED.learning, initial_means=images))
    return spec, Plan.of(spec, Source("embedded"), 16, batch=8, seed=3, flip=True)


@pytest.mark.parametrize(("asked", "count"), [(1, 1), (16, 16), (40, 16)])
def test_means_are_those_of_a_commit_without_learning(asked, count):
    """A commit at rates of 0 from means of 0 moves them by 2^-FOLLOW of the way to the batch's."""
    spec, plan = measuring(asked)
    begin = initial(spec, plan.seed)
    none = (0,) * len(spec.bundles)
    model = FixedModel(spec, replace(plan.settings(spec)[0], weight_rates=none, bias_rates=none), begin)
    model.train(DATA.train_images[:count], DATA.train_labels[:count])
    model.commit()
    found = started(plan, spec, DATA, begin)
    assert all(mean.any() for mean in found.means)
    for mean, moved in zip(found.means, model.parameters.means, strict=True):
        assert torch.equal(mean, moved << FOLLOW)
    for mine, theirs in zip(found.weights + found.biases, begin.weights + begin.biases, strict=True):
        assert torch.equal(mine, theirs)
    assert started(plan, spec, DATA, found) is found, "means of an earlier training stay"


def test_a_network_without_them_begins_at_zero():
    spec, plan = measuring(0)
    begin = initial(spec, plan.seed)
    assert started(plan, spec, DATA, begin) is begin


def test_a_run_begins_with_them(tmp_path):
    """The first commit's bias compensates for the means, so weights differ from those with means of 0."""
    weights = []
    for images in (0, 16):
        spec, plan = measuring(images)
        run = Run.begin(plan, spec, tmp_path / str(images))
        run.picture = False
        train(run, GoldenBoard(configuration(spec)), DATA, Stop())
        weights.append(run.parameters.weights[0])
    assert not torch.equal(*weights)
