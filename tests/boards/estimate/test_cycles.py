"""Cycles from spikes counted in the model, beside what was simulated and committed."""

import json
from pathlib import Path

import pytest

from boards.estimate import cycles
from boards.toolchain.report import BASELINES, baseline_file
from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from golden.model import activity
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training import checkpoint
from golden.training.data import load

#: Bits of a request, a cycle each in simulation.
ARRIVAL = 2300.0
COMMITTED = json.loads((BASELINES / "cycles.json").read_text())
CASES = [(name, engines) for name, kinds in COMMITTED.items() for engines in kinds]


def estimated(config, parameters, samples):
    spec, digits = config.spec, load("embedded")
    counted = activity.count(spec, Settings.of(spec), parameters, digits.train_images[:samples], digits.train_labels[:samples])
    return cycles.estimate(config, counted, spec.learning.batch, ARRIVAL)


@pytest.mark.parametrize(("name", "engines"), CASES)
def test_within_two_percent_of_what_was_simulated(name, engines):
    spec = preset(name)
    parameters = checkpoint.load(checkpoint.find(Path(f"{name}-mnist")), spec)[1]
    found = estimated(configuration(spec, engines), parameters, 16)
    assert found.training == pytest.approx(COMMITTED[name][engines]["training"], rel=0.02)
    assert found.inference == pytest.approx(COMMITTED[name][engines]["inference"], rel=0.02)


def test_of_the_compact_core():
    spec = preset("tiny")
    found = estimated(Config(spec, (1, 1, 1), compact=True), initial(spec, 0), spec.learning.batch)
    report = json.loads(baseline_file("icebreaker", "tiny", "yowasp").read_text())["cycles"]
    assert report["samples"] == spec.learning.batch
    assert found.training == pytest.approx(report["training"], rel=1e-4)
    # inferences there came after a commit, but these are of the weights before it
    assert found.inference == pytest.approx(report["phases"]["static"] + report["phases"]["free"], rel=1e-4)


def test_more_lanes_are_never_slower():
    spec = preset("small")
    wide = configuration(spec, "event")
    narrow = Config(spec, (1, 4, 4, 4, 1), events=wide.events, image_taps=1)
    assert estimated(wide, initial(spec, 0), 2).training < estimated(narrow, initial(spec, 0), 2).training
