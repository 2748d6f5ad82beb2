"""Each study measures what its rows say."""

import csv
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from golden.contract.presets import PRESETS, preset
from golden.contract.schedule import ORDERS, Schedule
from golden.model.fixed import FixedModel
from golden.training.data import load
from golden.training.loop import train as run_train
from golden.training.plan import Plan
from golden.training.run import Run
from golden.training.stop import Stop
from paper.studies import STUDIES, precision, schedule, shape, speed
from paper.studies.carry_out import carry_out
from paper.studies.held_out import AT_ONCE, STUDIED, by_equilibrium_propagation, plan_facts, spec_facts
from paper.studies.study import Budget
from paper.systems import train
from paper.systems.configurations import table_two
from paper.systems.own import two_conv_two_dense

RESULTS = Path(__file__).parents[2] / "results"


def test_each_value_of_precision_changes_what_its_name_says():
    base = STUDIED
    allowed = {
        "working weight": {"weight_bits", "weight_fraction", "phi_fraction"},
        "master": {"master_bits", "master_fraction"},
        "state": {"state_fraction"},
        "decoder": {"decoder_bits", "decoder_fraction", "bias_bits", "bias_fraction"},
        "T free": {"free", "nudged"},
        "T nudged": {"nudged"},
        "M": {"window_log2"},
    }
    assert set(allowed) == {quantity.name for quantity in precision.QUANTITIES}
    for quantity in precision.QUANTITIES:
        assert quantity.specs[quantity.chosen] == base
        for value, spec in quantity.specs.items():
            facts = asdict(spec.formats) | asdict(spec.schedule)
            changed = {name for name, x in (asdict(base.formats) | asdict(base.schedule)).items() if facts[name] != x}
            assert changed == (set() if value == quantity.chosen else changed & allowed[quantity.name])
            assert bool(changed) == (value != quantity.chosen)
            assert replace(spec, formats=base.formats, schedule=base.schedule) == base


@pytest.mark.parametrize("average", [1, 2])
def test_what_is_held_out_is_asked_of_the_weights_that_a_run_ends_with(tmp_path, average):
    spec, images = preset("tiny"), load("embedded")
    plan = Plan.of(spec, "embedded", 60, epochs=3, seed=2, average=average)
    run = Run.begin(plan, spec, tmp_path)
    run_train(run, FixedModel(spec), images, Stop())
    missed = FixedModel(spec, parameters=run.parameters).infer(images.train_images[-400:]) != images.train_labels[-400:]
    measured = by_equilibrium_propagation(spec, plan, 400, images)
    assert measured == {"error_percent": int(missed.sum()) / 4, "training_percent": run.rows[-1].error_percent}
    assert ("average" in plan_facts(plan)) == (average > 1)


def test_precision_writes_a_row_for_each_cell_and_its_report(tmp_path, monkeypatch):
    small = Budget("quick", 1, 0, {"data": "embedded", "samples": 20, "held_out": 980, "epochs": 1})
    monkeypatch.setattr(precision, "QUANTITIES", precision.QUANTITIES[:1])
    table, files = carry_out(replace(STUDIES["precision"], budgets=(small,)), "quick", tmp_path, seeds=2)
    assert [file.name for file in files] == ["precision-quick.csv", "precision-quick.md", "precision-quick.png"]
    assert all(file.stat().st_size for file in files)
    with files[0].open() as stream:
        rows = list(csv.DictReader(stream))
    values = list(precision.QUANTITIES[0].specs)
    assert len(rows) == 2 * len(values)
    assert files[1].read_text() == table + "\n"
    assert sum(line.startswith("| working weight") for line in table.splitlines()) == len(values)
    for row in rows:
        wrong = float(row["error_percent"]) * 980 / 100
        assert 0 <= wrong <= 980
        assert abs(wrong - round(wrong)) < 1e-3, "not a share of the 980 held-out digits"


def test_the_committed_picture_of_precision_marks_the_steps_that_small_has_now(tmp_path, monkeypatch):
    """It is drawn from the committed table: no image is there to train on."""
    monkeypatch.delenv("NUDGE_DATA", raising=False)
    for file in RESULTS.glob("precision-cpu.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "precision-cpu.png").unlink()
    monkeypatch.setattr(plt, "close", lambda figure: None)
    table, _ = carry_out(STUDIES["precision"], "cpu", tmp_path)
    assert table + "\n" == (RESULTS / "precision-cpu.md").read_text(), "nudge repro precision --budget cpu writes it anew"
    now = preset("small").schedule
    for name, value in (("T free", now.free), ("T nudged", now.nudged), ("M", now.window)):
        (row,) = (line for line in table.splitlines() if f" {name} " in line.replace("(", " ") and "small" in line)
        assert [cell.strip() for cell in row.split("|")][2] == str(value), "the row that is marked"
    legends = filter(None, (axes.get_legend() for axes in plt.gcf().axes))
    labels = [text.get_text() for legend in legends for text in legend.get_texts()]
    steps = [int(label.rpartition(" ")[2]) for label in labels if "now" in label]
    assert steps == [now.free, now.nudged, now.window]
    plt.close("all")


@pytest.mark.parametrize("damaged", ["", "cut", "flipped"])
def test_a_configuration_goes_on_from_its_checkpoint(tmp_path, damaged):
    images = load("embedded")
    configuration = next(c for c in table_two("mnist", 16) if c.name == "oconnor-1fc")
    configuration = replace(configuration, dynamics=replace(configuration.dynamics, free=8, nudged=4), batch=16)
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


def test_shape_puts_parameters_beside_errors_and_marks_the_presets(tmp_path, monkeypatch):
    few = Budget("quick", 1, 0, {"data": "embedded", "samples": 20, "held_out": 980, "epochs": 1})
    monkeypatch.setattr(shape, "SHAPES", shape.SHAPES[:3])
    table, files = carry_out(replace(STUDIES["shape"], budgets=(few,)), "quick", tmp_path, seeds=2)
    assert all(file.stat().st_size for file in files)
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| 8-")]
    assert [(name.strip(), seeds.strip(), mark.strip()) for _, name, _, _, _, seeds, mark, _ in rows] == [
        ("8-16-32", "2", "small"),
        ("8-16-48", "2", ""),
        ("8-20-48", "2", "medium"),
    ]
    assert [int(row[2].replace(",", "")) for row in rows] == [spec.parameters for spec in shape.SHAPES]


def test_a_row_of_schedule_changes_what_its_labels_say():
    base = PRESETS["small"]
    assert {trial.order for trial in schedule.TRIALS} == set(ORDERS)
    assert schedule.TODAY.spec == replace(base, schedule=AT_ONCE)
    assert schedule.VARIED.spec == base
    for trial in schedule.TRIALS:
        spec, plan = trial.spec, trial.plan({"data": "embedded", "samples": 20, "lr_scale": 0.5}, seed=1)
        window = trial.window.bit_length() - 1
        assert replace(spec, schedule=base.schedule, learning=base.learning) == base
        assert spec.schedule == Schedule(trial.free, trial.nudged, window, base.schedule.decay_shift, trial.order)
        assert (plan.free_steps, plan.nudged_steps) == (trial.free, trial.nudged)
        changed = {"rates": plan.lr_scale / 0.5, "beta": plan.beta / base.learning.beta, "gain": spec.learning.gain}
        unchanged = {name for name, factor in changed.items() if factor == 1}
        assert unchanged == set(changed) - {trial.quantity}, trial.labels
    assert len({tuple(trial.labels.values()) for trial in schedule.TRIALS}) == len(schedule.TRIALS)


def test_schedule_shows_the_mean_and_the_worst_seed(tmp_path, monkeypatch):
    few = Budget("quick", 1, 0, {"data": "embedded", "samples": 20, "held_out": 980, "epochs": 1})
    monkeypatch.setattr(schedule, "TRIALS", (schedule.TODAY, schedule.VARIED))
    table, files = carry_out(replace(STUDIES["schedule"], budgets=(few,)), "quick", tmp_path, seeds=2)
    assert all(file.stat().st_size for file in files)
    with files[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for trial in schedule.TRIALS:
        errors = [float(row["error_percent"]) for row in rows if row["order"] == trial.order]
        (line,) = (line for line in table.splitlines() if line.startswith(f"| {trial.order} |"))
        assert f" {sum(errors) / 2:.2f} ± " in line
        assert f" | {max(errors):.2f} | " in line
        assert ("varied below" in line) == (trial == schedule.VARIED)


def test_speed_counts_products():
    small = PRESETS["small"]  # 8 and 16 channels on 13x13 and 5x5 pooled positions, 32 and 10 units
    both_ways = 25 * 16 * 8 * 9 + 16 * 25 * 32 + 32 * 10
    assert speed.byte_products(small) == 2 * both_ways * (16 + 2 * 8)
    network = two_conv_two_dense(8, 16, 32)
    assert speed.float_products(network, 64) == 64 * (2 * both_ways + 169 * 8 * 9)
    found = speed.figures(2e6, 1e-3, speed.SIDE**3 / 4e9)
    assert found == pytest.approx({"ms": 1, "gmac_s": 2, "plain_gmac_s": 4, "share": 0.5})


def test_networks_without_an_order_keep_their_rows():
    facts = spec_facts(STUDIED)
    assert set(facts["schedule"]) == {"free", "nudged", "window_log2", "decay_shift"}
    assert spec_facts(schedule.VARIED.spec)["schedule"]["order"] == "odd-even"


def test_nothing_draws_before_it_is_asked_to():
    code = "import sys; import paper.studies, golden.training.run; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
