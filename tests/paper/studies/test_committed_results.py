"""Tables in results/ fit today's studies: `nudge repro` continues from them, and would write the same."""

import csv
from pathlib import Path

import pytest

from nudge.paper.studies import NAMES, find
from nudge.paper.studies.carry_out import on_device
from nudge.paper.tables import rows
from nudge.paper.tables.study import images

TABLES = sorted((Path(__file__).parents[3] / "results").glob("*.csv"))


def test_there_are_tables_of_all_studies():
    assert {path.stem.rsplit("-", 1)[0] for path in TABLES} == set(NAMES)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_committed_table_is_what_the_study_writes(path, tmp_path):
    """Each row belongs to a cell of the study, and table and picture are drawn without any data set."""
    images.cache_clear()
    name, budget_name = path.stem.rsplit("-", 1)
    study = find(name)
    budget = on_device(study, study.budget(budget_name), "cpu")
    with path.open(newline="") as file:
        seeds = max(int(row["seed"]) for row in csv.DictReader(file))
    cells = study.cells(budget, seeds, None)
    found = rows.read(path, cells)
    stale = found.keys() - {cell.fingerprint for cell in cells}
    assert not stale, f"{len(stale)} rows of another version, first {list(found[min(stale)].values())[:4]}"
    mine = [found[cell.fingerprint] for cell in cells if cell.fingerprint in found]
    text = study.report(budget, mine, tmp_path / path.name)
    assert text + "\n" == path.with_suffix(".md").read_text(), "draw it again"
    assert (tmp_path / path.name).with_suffix(".png").stat().st_size > 1000
    assert images.cache_info().misses == 0
