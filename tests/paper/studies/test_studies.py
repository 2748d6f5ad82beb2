"""Each row of a study changes what its labels say, and its figures are those measured."""

import csv
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from nudge.golden.contract.presets import PRESETS, preset
from nudge.golden.contract.schedule import ORDERS
from nudge.golden.contract.spec import Spec
from nudge.golden.model.fixed import FixedModel
from nudge.golden.training.data import load
from nudge.golden.training.loop import train as run_train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.paper.studies import fashion, precision, schedule, shape, speed
from nudge.paper.studies.carry_out import carry_out
from nudge.paper.studies.held_out import (
    AT_ONCE,
    STUDIED,
    Trial,
    plan_facts,
    spec_facts,
    study,
)
from nudge.paper.studies.recipe import Recipe
from nudge.paper.systems import train
from nudge.paper.systems.configurations import table_two
from nudge.paper.systems.own import two_conv_two_dense
from nudge.paper.tables.study import Budget


def changed(spec: Spec, base: Spec) -> set[str]:
    """Return the names of the quantities that differ, in any part of a network."""
    before, after = (asdict(x) for x in (base, spec))
    parts = [(before, after), *((before[name], after[name]) for name in ("formats", "schedule", "learning"))]
    return {name for old, new in parts for name in old if old[name] != new[name]} - {"name", "lanes"}


FORMATS, SCHEDULE = {"formats"}, {"schedule"}
#: For trials that change the network alone, by their first label: the quantities that may change.
ALLOWED = {
    "working weight": FORMATS | {"weight_bits", "weight_fraction", "phi_fraction"},
    "master": FORMATS | {"master_bits", "master_fraction"},
    "state": FORMATS | {"state_fraction"},
    "decoder": FORMATS | {"decoder_bits", "decoder_fraction", "bias_bits", "bias_fraction"},
    "T free": SCHEDULE | {"free", "nudged"},
    "T nudged": SCHEDULE | {"nudged"},
    "M": SCHEDULE | {"window_log2"},
    "learning rate": {"learning", "rates"},
    "initial gain": {"learning", "gain"},
    "noise and settling": SCHEDULE | {"free", "nudged", "window_log2"},
    "range of weights": FORMATS | {"weight_fraction", "phi_fraction", "master_fraction", "bias_bits"},
}
ON_SMALL = [*precision.trials(Budget("cpu", 1, 0, {})), *fashion.of_small()]


def test_each_row_changes_what_its_label_says():
    tried = [(next(iter(trial.labels.values())), trial) for trial in ON_SMALL]
    assert set(ALLOWED) <= {name for name, _ in tried}
    for name, trial in tried:
        if name in ALLOWED:
            found = changed(trial.spec, STUDIED)
            assert bool(found) != bool(trial.plan), trial.labels
            assert found <= ALLOWED[name], trial.labels
        elif name != "network":
            assert trial.spec in (STUDIED, PRESETS["large"], fashion.STUDIED_LARGE), trial.labels


@pytest.mark.parametrize("average", [1, 2])
def test_what_is_held_out_is_asked_of_the_weights_that_a_run_ends_with(tmp_path, average):
    spec, images = preset("tiny"), load("embedded")
    plan = Plan.of(spec, "embedded", 60, epochs=3, seed=2, average=average)
    run = Run.begin(plan, spec, tmp_path)
    run_train(run, FixedModel(spec), images, Stop())
    missed = (
        FixedModel(spec, parameters=run.parameters).infer(images.train_images[-400:])
        != images.train_labels[-400:].numpy()
    )
    measured = Recipe().error(spec, plan, 400, images)
    assert measured == {
        "error_percent": int(missed.sum()) / 4,
        "training_percent": run.rows[-1].error_percent,
    }
    assert ("average" in plan_facts(plan)) == (average > 1)


@pytest.mark.parametrize(("lr_scale", "factor"), [(1.0, 0.5), (0.7, 2.0)])
def test_a_study_of_rows_writes_a_line_for_each_and_its_errors(tmp_path, lr_scale, factor):
    """Two rows, two seeds, 20 images: errors are shares of the held-out images, and rates are multiplied."""
    few = Budget(
        "quick", 1, 0, {"data": "embedded", "samples": 20, "held_out": 980, "epochs": 1, "lr_scale": lr_scale}
    )
    rows = [Trial({"row": "as it is"}, STUDIED), Trial({"row": "rates"}, STUDIED, {"lr_scale": factor})]
    plans = []
    some = study(
        "rows", (few,), lambda budget: rows, "Two.", facts=lambda trial, plan, held_out: plans.append(plan)
    )
    table, files = carry_out(some, "quick", tmp_path, seeds=2)
    assert [file.name for file in files] == ["rows-quick.csv", "rows-quick.md", "rows-quick.png"]
    assert all(file.stat().st_size for file in files)
    assert {plan.lr_scale for plan in plans} == {lr_scale, lr_scale * factor}
    with files[0].open() as stream:
        found = list(csv.DictReader(stream))
    assert [row["row"] + row["seed"] for row in found] == ["as it is1", "rates1", "as it is2", "rates2"]
    assert files[1].read_text() == table + "\n"
    for row in found:
        wrong = float(row["error_percent"]) * 980 / 100
        assert 0 <= wrong <= 980
        assert abs(wrong - round(wrong)) < 1e-3, "not a share of the 980 held-out digits"
    for name in ("as it is", "rates"):
        errors = [float(row["error_percent"]) for row in found if row["row"] == name]
        assert f"| {name} | {sum(errors) / 2:.2f} ± " in table


@pytest.mark.parametrize("damaged", ["", "cut", "flipped"])
def test_a_configuration_goes_on_from_its_checkpoint(tmp_path, damaged):
    images = load("embedded")
    configuration = next(c for c in table_two("mnist", 16) if c.name == "oconnor-1fc")
    configuration = replace(
        configuration, dynamics=replace(configuration.dynamics, free=8, nudged=4), batch=16
    )
    file = tmp_path / "run.checkpoint"
    whole = train.SystemRun(configuration, samples=48, epochs=2, seed=1, tested=20, parts=1, every_epoch=True)
    train.train(replace(whole, epochs=1), images, file)
    if damaged == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    if damaged == "flipped":
        file.write_bytes(file.read_bytes()[:-4] + bytes([file.read_bytes()[-4] ^ 1]) + file.read_bytes()[-3:])
    lines: list[str] = []
    expected, found = train.train(whole, images), train.train(whole, images, file, lines.append)
    assert (expected.training, expected.tests) == (found.training, found.tests)
    assert len(found.tests) == 2
    assert found.tests[-1] == train.test_error(whole, found.parameters, images)
    pairs = zip(expected.parameters, found.parameters, strict=True)
    assert all(a.equal(b) for one, other in pairs for a, b in zip(one, other, strict=True))
    assert lines[-1].startswith("epoch 2/2, 48 images, ")
    assert len(lines) == (6 if damaged else 3)


def test_shapes_have_their_parameters_and_presets():
    rows = {name: [{"shape": name}] for name in shape.SHAPES}
    assert {name: shape.preset(row) for name, row in rows.items() if shape.preset(row)} == {
        "8-16-32": "small",
        "8-20-48": "medium",
    }
    assert [shape.parameters(row) for row in rows.values()][:2] == ["14,410", "20,986"]


def test_a_row_of_schedule_changes_what_its_labels_say():
    base = PRESETS["small"]
    assert {trial.labels["order"] for trial in schedule.TRIALS} == set(ORDERS)
    specs = [trial.spec for trial in schedule.TRIALS]
    assert replace(base, schedule=AT_ONCE) == specs[0]
    assert base in specs
    for trial in schedule.TRIALS:
        steps, labels = trial.spec.schedule, trial.labels
        assert (steps.order, f"{steps.free}/{steps.nudged}", str(steps.window)) == tuple(labels.values())[:3]
        assert steps.decay_shift == base.schedule.decay_shift
        found = {"rates": trial.plan.get("lr_scale", 1), "beta": trial.plan.get("beta", base.learning.beta)}
        found["gain"] = trial.spec.learning.gain
        unchanged = {"rates": 1, "beta": base.learning.beta, "gain": 1}
        name, _, value = labels["change"].partition(" ")
        assert found == unchanged | ({name: float(value)} if value else {}), labels
        assert changed(trial.spec, base) <= {
            "schedule",
            "free",
            "nudged",
            "window_log2",
            "order",
            "learning",
            "gain",
        }


def test_schedule_shows_the_steps_and_the_worst_seed():
    rows = [{"T": "16/8", "error_percent": error} for error in ("3.5", "4.25")]
    assert (schedule.steps(rows), schedule.worst(rows)) == ("32", "4.25")


def test_speed_counts_products():
    small = PRESETS["small"]  # 8 and 16 channels on 13x13 and 5x5 pooled positions, 32 and 10 units
    both_ways = 25 * 16 * 8 * 9 + 16 * 25 * 32 + 32 * 10
    assert speed.byte_products(small) == 2 * both_ways * (small.schedule.free + 2 * small.schedule.nudged)
    network = two_conv_two_dense(8, 16, 32)
    assert speed.float_products(network, 64) == 64 * (2 * both_ways + 169 * 8 * 9)
    found = speed.figures(2e6, 1e-3, speed.SIDE**3 / 4e9)
    assert found == pytest.approx({"ms": 1, "gmac_s": 2, "plain_gmac_s": 4, "share": 0.5})


def test_networks_without_an_order_keep_their_rows():
    facts = spec_facts(STUDIED)
    assert set(facts["schedule"]) == {"free", "nudged", "window_log2", "decay_shift"}
    assert spec_facts(PRESETS["small"])["schedule"]["order"] == "odd-even"


def test_nothing_draws_before_it_is_asked_to():
    code = (
        "import sys; import nudge.paper.studies, nudge.golden.training.run; sys.exit('matplotlib' in "
        "sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
