"""Estimated cycles, from spikes counted in the model, agree with the simulated cycles that are committed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nudge.boards.estimate import cycles
from nudge.boards.toolchain.report import BASELINES, baseline_file
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.network_file import network
from nudge.golden.contract.presets import preset
from nudge.golden.model import activity
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training import checkpoint
from nudge.golden.training.data import load

#: Cycles from one image to the next: the bits of a request, one cycle each in simulation.
ARRIVAL = 2300.0
COMMITTED = json.loads((BASELINES / "cycles.json").read_text())
CASES = [(name, engines) for name, kinds in COMMITTED.items() for engines in kinds]


def estimated(config, parameters, samples):
    spec, digits = config.spec, load("embedded")
    counted = activity.count(
        spec, Settings.of(spec), parameters, digits.train_images[:samples], digits.train_labels[:samples]
    )
    return cycles.estimate(config, counted, spec.learning.batch, ARRIVAL)


@pytest.mark.parametrize(("name", "engines"), CASES)
def test_within_two_percent_of_what_was_simulated(name, engines):
    spec = preset(name)
    parameters = checkpoint.load(checkpoint.find(Path(f"{name}-mnist")), spec)[1]
    found = estimated(configuration(spec, engines), parameters, spec.learning.batch)
    assert found.training == pytest.approx(COMMITTED[name][engines]["training"], rel=0.02)
    assert found.inference == pytest.approx(COMMITTED[name][engines]["inference"], rel=0.02)


#: Estimates of both directions of an event-driven engine, in a process that also elaborates a design.
ELABORATED = """
from amaranth.hdl import Fragment, Module
from nudge.boards.estimate import timing
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
import numpy as np
config = configuration(preset("small"), "event")
bundle = next(b for b in config.spec.bundles if config.engine(b) == "event")
Fragment.get(Module(), None)
timing.prepare_cycles(config, bundle)
for name in ("forward", "backward"):
    timing.Windows(config, bundle, name, np.ones((1, 1, 1)))
"""


def test_no_component_is_made_and_left_unused():
    """Amaranth warns of one when it is dropped, at the latest when the process ends."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", ELABORATED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_of_one_slot():
    """The estimate agrees with `nudge bench --samples 20` of `tiny` with `slots = 1`, with initial weights:
    12,335 cycles in training, 6,111 in inference.
    """
    spec = preset("tiny")
    found = estimated(replace(configuration(spec), slots=1), initial(spec, 0), 20)
    assert found.training == pytest.approx(12335.3, rel=0.005)
    assert found.inference == pytest.approx(6110.5, rel=0.005)


def test_of_the_compact_core():
    spec = preset("tiny")
    found = estimated(Config(spec, (1, 1, 1), compact=True), initial(spec, 0), spec.learning.batch)
    report = json.loads(baseline_file("icebreaker", "tiny", "yowasp").read_text())["cycles"]
    assert report["samples"] == spec.learning.batch
    assert found.training == pytest.approx(report["training"], rel=1e-4)
    # inferences in the report came after a commit: take static drive and free phase of training, before it
    assert found.inference == pytest.approx(report["phases"]["static"] + report["phases"]["free"], rel=1e-4)


def test_of_images_that_come_slower_than_they_are_learnt():
    """The estimate agrees with `nudge bench` of 16 digits, each 2,193 cycles on the line: 2,335 cycles in
    training, and 2,056 in inference without the time that it waits for the line."""
    stages, lanes = [{"dense": 12}, {"dense": 10}], {"lanes": [1, 12, 1], "arrays": [1, 1, 1], "shared": [2]}
    known = {
        "stage": stages,
        "schedule": {"free": 8, "nudged": 4},
        "lanes": {"event": lanes},
        "learning": {"batch": 16},
    }
    config = configuration(network({"name": "flat"} | known, "flat"))
    digits, spec = load("embedded"), config.spec
    images, labels = digits.train_images[:16], digits.train_labels[:16]
    counted = activity.count(spec, Settings.of(spec), initial(spec, 0), images, labels)
    found = cycles.estimate(config, counted, 16, 2193.3)
    assert found.limit == "images"
    assert found.training == pytest.approx(2334.9, rel=0.01)
    assert found.inference == pytest.approx(2056.2, rel=0.08)


@pytest.mark.parametrize(("slots", "training", "inference"), [(2, 10926.5, 5616.8), (1, 17034.9, 7655.0)])
def test_of_scatter_engines(slots, training, inference):
    """The estimate agrees with `nudge bench` of 8 digits in colour, which gives these cycles."""
    stages = [{"conv": 4, "padding": 1}, {"conv": 8, "padding": 1}, {"conv": 8}, {"dense": 10}]
    schedule = {
        "free": 12,
        "nudged": 8,
        "window": 4,
        "decay_shift": 0,
        "halvings": [1, 4],
        "feedback_shift": 2,
    }
    schedule |= {"fine": [8, 6, 4, 1], "centred": True}
    learning = {"rates": [0.25, 0.15, 0.05, 0.05], "gain": 1.25, "batch": 8}
    lanes = {"lanes": [1, 2, 4, 4, 1], "arrays": [1, 2, 2, 4, 1], "image_taps": 3, "scatters": [2, 3]}
    lanes |= {"folded": [2], "slots": slots}
    known = {"input": {"channels": 3, "height": 16, "width": 16}, "stage": stages, "schedule": schedule}
    spec = network({"name": "colour", "learning": learning, "lanes": {"event": lanes}} | known, "colour")
    digits = load("embedded", shown=spec.input)
    images, labels = digits.train_images[:8], digits.train_labels[:8]
    counted = activity.count(spec, Settings.of(spec), initial(spec, 0), images, labels)
    found = cycles.estimate(configuration(spec), counted, 8)
    assert found.training == pytest.approx(training, rel=0.02)
    assert found.inference == pytest.approx(inference, rel=0.08)


def test_more_lanes_are_never_slower():
    spec = preset("small")
    wide = configuration(spec, "event")
    narrow = Config(spec, (1, 4, 4, 4, 1), events=wide.events, image_taps=1)
    assert estimated(wide, initial(spec, 0), 2).training < estimated(narrow, initial(spec, 0), 2).training
