"""`nudge repro`: what is measured, that an interruption loses nothing, and what is said when it can't be carried out."""

import csv
import os
import re
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from functools import partial

import pytest
import torch

from golden.contract.errors import ExitCode, StudyError
from golden.contract.presets import PRESETS, preset
from golden.contract.schedule import ORDERS, Schedule
from golden.files import owned
from golden.model.fixed import FixedModel
from golden.paper.studies import STUDIES, precision, schedule, shape, speed
from golden.paper.studies import carry_out as carry_out_module
from golden.paper.studies.carry_out import available_memory, carry_out, chosen
from golden.paper.studies.held_out import AT_ONCE, STUDIED, by_equilibrium_propagation, plan_facts, spec_facts
from golden.paper.studies.study import Budget, Cell, Study
from golden.paper.systems import train
from golden.paper.systems.configurations import table_two
from golden.paper.systems.own import two_conv_two_dense
from golden.training.data import load
from golden.training.loop import train as run_train
from golden.training.plan import Plan
from golden.training.run import Run
from golden.training.stop import Stop
from host.cli import main as cli


class Counted:
    """A study of two values whose measurements are counted; it fails after `most` of them."""

    def __init__(self, most: int = 100, version: int = 1):
        self.most, self.version = most, version
        self.measured: list[tuple[int, int]] = []

    def measure(self, value: int, seed: int) -> dict[str, float]:
        if len(self.measured) == self.most:
            raise KeyboardInterrupt
        self.measured.append((value, seed))
        return {"error_percent": value + seed / 10}

    def cells(self, budget, seeds, data_dir):
        return [
            Cell({"value": str(v)}, s, [self.version, budget.values], partial(self.measure, v, s))
            for v in (3, 4)
            for s in range(1, seeds + 1)
        ]

    @property
    def study(self) -> Study:
        return Study("count", (Budget("quick", 2, 0, {"epochs": 1}), Budget("vast", 1, 1 << 60, {})), self.cells, self.report)

    def report(self, budget, rows, path) -> str:
        return " ".join(f"{row['value']}:{row['seed']}:{row['error_percent']}" for row in rows)


WHOLE = "3:1:3.1 3:2:3.2 4:1:4.1 4:2:4.2"


@pytest.mark.parametrize("most", [0, 1, 3])
def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path, most, capfd):
    first, second = Counted(most), Counted()
    with pytest.raises(KeyboardInterrupt):
        carry_out(first.study, "quick", tmp_path / "new")
    table, made = carry_out(second.study, "quick", tmp_path / "new")
    assert (f"{made[0]} has {most} of 4 cells already: --force measures them again" in capfd.readouterr().err) == (most > 0)
    assert table == WHOLE
    assert len(second.measured) == 4 - most
    assert not set(first.measured) & set(second.measured)
    third = Counted()
    assert carry_out(third.study, "quick", tmp_path / "new") == (table, made)
    assert third.measured == []


def test_fewer_seeds_use_and_keep_what_there_is(tmp_path):
    carry_out(Counted().study, "quick", tmp_path)
    fewer = Counted()
    assert carry_out(fewer.study, "quick", tmp_path, seeds=1)[0] == "3:1:3.1 4:1:4.1"
    more = Counted()
    assert carry_out(more.study, "quick", tmp_path, seeds=3)[0].split()[::3] == ["3:1:3.1", "4:1:4.1"]
    assert fewer.measured == []
    assert more.measured == [(3, 3), (4, 3)]


def test_another_version_is_not_overwritten(tmp_path):
    carry_out(Counted().study, "quick", tmp_path)
    before = (tmp_path / "count-quick.csv").read_bytes()
    with pytest.raises(StudyError, match=r"count-quick.csv has 4 rows of another version of the study: --force begins anew"):
        carry_out(Counted(version=2).study, "quick", tmp_path)
    assert (tmp_path / "count-quick.csv").read_bytes() == before
    anew = Counted(version=2)
    assert carry_out(anew.study, "quick", tmp_path, force=True)[0] == WHOLE
    assert len(anew.measured) == 4


DAMAGE = {
    "no fingerprint": lambda text: "value,seed\n3,1\n",
    "a short row": lambda text: "value,seed,fingerprint\n3\n",
    "no number": lambda text: "value,seed,fingerprint\n3,x,00\n",
    "a digit of another script": lambda text: text.replace(",2,", ",\u00b2,"),
    "a long number": lambda text: text.replace(",2,", f",{'9' * 5000},"),
    "another label": lambda text: text.replace("\n3,", "\n5,"),
    "another seed": lambda text: text.replace("4,1,4.1", "4,2,4.1"),
    "text": lambda text: text.replace("4.1", "four"),
    "a missing figure": lambda text: text.replace("4.1", ""),
    "a null byte": lambda text: text.replace("4.1", "4\0"),
    "a long field": lambda text: text.replace("4.1", "4" * 200_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_is_not_overwritten(tmp_path, damage):
    carry_out(Counted().study, "quick", tmp_path)
    file = tmp_path / "count-quick.csv"
    damaged = DAMAGE[damage](file.read_text())
    assert damaged != file.read_text()
    file.write_text(damaged)
    with pytest.raises(StudyError, match=r"is damaged \(.+\): --force begins anew, --out elsewhere$"):
        carry_out(Counted().study, "quick", tmp_path)
    assert file.read_text() == damaged


@pytest.mark.timeout(20)
def test_a_table_that_can_not_be_read_is_refused(tmp_path):
    file = tmp_path / "count-quick.csv"
    file.write_bytes(b"value,seed,fingerprint\n\xff,1,0\n")
    with pytest.raises(StudyError, match=r"byte 23 isn't UTF-8: --force begins anew, --out elsewhere$"):
        carry_out(Counted().study, "quick", tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StudyError, match=r"is no file: --force begins anew"):
        carry_out(Counted().study, "quick", tmp_path)


def test_a_study_has_one_process_at_a_time(tmp_path):
    with owned(tmp_path / ".count-quick.lock", StudyError):
        found = []

        def other():
            try:
                carry_out(Counted().study, "quick", tmp_path)
            except StudyError as error:
                found.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found[0].startswith(f"{tmp_path} is in use by process {os.getpid()} (")


@pytest.mark.parametrize(
    ("budget", "seeds", "message"),
    [
        ("paper", None, "--budget must be one of quick, vast for count, not 'paper'"),
        ("quick", 0, "--seeds must be at least 1, not 0"),
        ("vast", None, r"--budget vast needs about 1073741824.0 GiB of memory, [\d.]+ GiB are free: choose a smaller one"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(tmp_path, budget, seeds, message):
    counted = Counted()
    with pytest.raises(StudyError, match=message):
        carry_out(counted.study, budget, tmp_path / "new", seeds=seeds)
    assert not counted.measured
    assert not (tmp_path / "new").exists()


def test_a_budget_sets_the_threads_of_torch_and_sets_them_back(tmp_path):
    counted, before = Counted(), torch.get_num_threads()
    budget = Budget("quick", 1, 0, {"epochs": 1}, threads=before + 1)

    def cells(*arguments):
        return [replace(cell, measure=lambda: {"threads": torch.get_num_threads()}) for cell in counted.cells(*arguments)]

    def report(budget, rows, path):
        return " ".join(row["threads"] for row in rows)

    study = replace(counted.study, budgets=(budget,), cells=cells, report=report)
    assert carry_out(study, "quick", tmp_path)[0] == f"{before + 1} {before + 1}"
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("only", ["T 16/8, M 4", "ep,T 16/8, M 4", "T 16/8, M 4,ep"])
def test_only_may_name_labels_that_have_commas(only):
    some = Study("some", (), Counted().cells, Counted().report, partial=True)
    names = ("T 16/8", "T 16/8, M 4", "M 4")
    cells = [Cell({"group": "ep", "variant": name}, 1, 0, dict) for name in names]
    assert chosen(some, cells, only) == cells[1:2]


def test_only_chooses_cells_that_have_all_its_labels():
    some = Study("some", (), Counted().cells, Counted().report, partial=True)
    cells = [Cell({"system": system, "variant": variant}, 1, 0, dict) for system in "ab" for variant in ("paper", "tuned")]
    assert chosen(some, cells, "a") == cells[:2]
    assert chosen(some, cells, "tuned,a") == cells[1:2]
    for wrong in ("c", "a,b", "a,", ""):
        with pytest.raises(StudyError, match=re.escape(f"--only must be one of a, paper, tuned, b for some, not {wrong!r}")):
            chosen(some, cells, wrong)
    with pytest.raises(StudyError, match="--only: some is measured as a whole"):
        chosen(replace(some, partial=False), cells, "a")


def test_memory_of_a_control_group_counts(monkeypatch):
    files = {"/proc/meminfo": ["MemTotal: 9 kB", "MemAvailable: 4096 kB"]}
    monkeypatch.setattr(carry_out_module, "_lines", lambda path: files.get(path, []))
    assert available_memory() == 4 << 20
    files |= {"/sys/fs/cgroup/memory.max": ["max"], "/sys/fs/cgroup/memory.current": ["5"]}
    assert available_memory() == 4 << 20
    files |= {"/sys/fs/cgroup/memory.max": ["1005"]}
    assert available_memory() == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tabel2"], "unknown study 'tabel2': choose one of precision, schedule, settling, fashion"),
        (["precision", "--budget", "gpu"], "--budget must be one of quick, cpu for precision, not 'gpu'"),
    ],
)
def test_the_command_names_what_there_is(capsys, tmp_path, arguments, message):
    assert cli.main(["repro", *arguments, "--out", str(tmp_path / "new")]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "new").exists()


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


def test_each_study_is_found_by_its_name_when_it_is_asked_for():
    assert {name: STUDIES[name].name for name in STUDIES} == {name: name for name in STUDIES}
    assert len(STUDIES) == 11
    assert "memory" in STUDIES
    assert "memories" not in STUDIES
    with pytest.raises(KeyError):
        STUDIES["study"]


def test_nothing_draws_before_it_is_asked_to():
    code = "import sys; import golden.paper.studies, golden.training.run; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
