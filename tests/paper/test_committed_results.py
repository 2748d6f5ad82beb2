"""Tables in results/ are of the studies as they are: `nudge repro` goes on from them, and would measure the same again."""

import csv
from pathlib import Path

import pytest

from golden.training import data as datasets
from paper.studies import STUDIES
from paper.studies.carry_out import on_device

TABLES = sorted((Path(__file__).parents[2] / "results").glob("*.csv"))


def test_there_are_tables_of_all_studies():
    assert {path.stem.rsplit("-", 1)[0] for path in TABLES} == set(STUDIES)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_each_row_is_of_a_cell_that_the_study_has(path, monkeypatch):
    embedded = datasets.load("embedded")
    monkeypatch.setattr(datasets, "load", lambda *_: embedded)  # no cell depends on what images there are until it is measured
    name, budget = path.stem.rsplit("-", 1)
    with path.open(newline="") as file:
        rows = {row["fingerprint"]: row for row in csv.DictReader(file)}
    seeds = max(int(row["seed"]) for row in rows.values())
    study = STUDIES[name]
    cells = {cell.fingerprint: cell for cell in study.cells(on_device(study, study.budget(budget), "cpu"), seeds, None)}
    stale = rows.keys() - cells.keys()
    assert not stale, f"{len(stale)} rows of another version, first {list(rows[min(stale)].values())[:4]}"
    for fingerprint, row in rows.items():
        assert {label: row[label] for label in cells[fingerprint].labels} == cells[fingerprint].labels
