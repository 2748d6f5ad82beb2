"""The options of `nudge train` are the fields of `TrainingOptions`, and reach the plan by name."""

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.training.data import Source
from nudge.golden.training.options import TrainingOptions
from nudge.golden.training.plan import Plan
from nudge.host.cli.main import main
from nudge.host.cli.training import train
from nudge.plumbing.errors import PlanError

SPEC = preset("tiny")


def test_each_field_is_an_option_with_its_help(capsys):
    assert main(["train", "--help"]) == 0
    # lines may end within a preset's name
    text = re.sub(r"(?<=\w-) (?=\w)", "", " ".join(capsys.readouterr().out.split()))
    for entry in fields(TrainingOptions):
        flag = re.escape(f"--{entry.name.replace('_', '-')}")
        assert re.search(rf" {flag} (<\w+> |/ --no-\w+ )?{re.escape(entry.metadata['help'])}", text), (
            entry.name
        )
    assert {entry.name for entry in fields(TrainingOptions)} < set(inspect.signature(train).parameters)


def test_each_field_of_a_plan_can_be_asked_for():
    asked: dict[str, Any] = {
        "samples": 9,
        "epochs": 2,
        "batch": 3,
        "seed": 4,
        "lr_scale": 0.5,
        "beta": 0.25,
        "free_steps": 40,
    }
    asked |= {"nudged_steps": 12, "decay": 0.75, "shift": 1, "flip": True, "average": 2, "held_out": 1}
    asked |= {"preset": "tiny", "data": "mnist"}
    assert asked.keys() == {entry.name for entry in fields(Plan)}
    plan = TrainingOptions(**asked).plan(SPEC, "mnist", available=10)
    assert {name: getattr(plan, name) for name in asked} == asked | {"data": Source("mnist")}


def test_a_plan_is_of_a_known_data_set():
    with pytest.raises(PlanError, match=r"^unknown data set 'digits': choose one of embedded, mnist"):
        Plan.of(SPEC, "digits", 10)


def test_an_option_that_is_not_given_is_the_presets():
    assert TrainingOptions().plan(SPEC, "embedded", available=10) == Plan.of(SPEC, "embedded", 10)
