"""Carrying out a study: interrupted, damaged, of another version, by two at once, or with refused options."""

import os
import re
import threading
from dataclasses import replace
from functools import partial

import pytest
import torch

from nudge.host.cli import main as cli
from nudge.paper.studies import NAMES, find
from nudge.paper.studies import carry_out as carry_out_module
from nudge.paper.studies.carry_out import available_memory, carry_out, chosen
from nudge.paper.tables.study import Budget, Cell, Study
from nudge.plumbing.errors import ExitCode, StudyError
from nudge.plumbing.files import owned


class Counted:
    """A study of two values that counts its measurements; it is interrupted after `most` of them."""

    def __init__(self, most: int = 100, version: int = 1):
        self.most, self.version = most, version
        self.measured: list[tuple[int, int]] = []

    def measure(self, value: int, seed: int) -> dict[str, float]:
        if len(self.measured) == self.most:
            raise KeyboardInterrupt
        self.measured.append((value, seed))
        return {"error_percent": value + seed / 10}

    def cells(self, budget, seed, data_dir):
        facts = [self.version, budget.values]
        return [Cell({"value": str(v)}, seed, facts, partial(self.measure, v, seed)) for v in (3, 4)]

    @property
    def study(self) -> Study:
        return Study(
            "count",
            (Budget("quick", 2, 0, {"epochs": 1}), Budget("vast", 1, 1 << 60, {})),
            self.cells,
            self.report,
        )

    def report(self, budget, rows, path) -> str:
        return " ".join(f"{row['value']}:{row['seed']}:{row['error_percent']}" for row in rows)


WHOLE = "3:1:3.1 4:1:4.1 3:2:3.2 4:2:4.2"


@pytest.mark.parametrize("most", [0, 1, 3])
def test_an_interrupted_study_goes_on_where_it_stopped(tmp_path, most, capfd):
    first, second = Counted(most), Counted()
    with pytest.raises(KeyboardInterrupt):
        carry_out(first.study, "quick", tmp_path / "new")
    table, made = carry_out(second.study, "quick", tmp_path / "new")
    assert (
        f"{made[0]} has {most} of 4 cells already: --force measures them again" in capfd.readouterr().err
    ) == (most > 0)
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
    assert carry_out(more.study, "quick", tmp_path, seeds=3)[0].split()[:2] == ["3:1:3.1", "4:1:4.1"]
    assert fewer.measured == []
    assert more.measured == [(3, 3), (4, 3)]


def test_another_version_is_not_overwritten(tmp_path):
    carry_out(Counted().study, "quick", tmp_path)
    before = (tmp_path / "count-quick.csv").read_bytes()
    with pytest.raises(
        StudyError, match=r"count-quick.csv has 4 rows of another version of the study: --force begins anew"
    ):
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
        (
            "vast",
            None,
            r"--budget vast needs about 1073741824.0 GiB of memory, [\d.]+ GiB are free: choose a smaller "
            r"one",
        ),
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
        return [
            replace(cell, measure=lambda: {"threads": torch.get_num_threads()})
            for cell in counted.cells(*arguments)
        ]

    def report(budget, rows, path):
        return " ".join(row["threads"] for row in rows)

    study = replace(counted.study, budgets=(budget,), seed_cells=cells, report=report)
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
    cells = [
        Cell({"system": system, "variant": variant}, 1, 0, dict)
        for system in "ab"
        for variant in ("paper", "tuned")
    ]
    assert chosen(some, cells, "a") == cells[:2]
    assert chosen(some, cells, "tuned,a") == cells[1:2]
    for wrong in ("c", "a,b", "a,", ""):
        with pytest.raises(
            StudyError, match=re.escape(f"--only must be one of a, paper, tuned, b for some, not {wrong!r}")
        ):
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


def test_each_study_is_found_by_its_name():
    assert tuple(find(name).name for name in NAMES) == NAMES
