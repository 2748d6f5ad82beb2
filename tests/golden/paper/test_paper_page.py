"""docs/paper.md says what results/table2-scale.csv has."""

import csv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SETS = ("mnist", "fashion-mnist")


def measured():
    with (ROOT / "results/table2-scale.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["seed"] for row in rows} == {"1"}, "the page's figures are of seed 1: it needs means now"
    return {(row["data"], row["system"]): row for row in rows}


def page():
    """By system: (test, training, hours) of each data set, as written."""
    text = (ROOT / "docs/paper.md").read_text().split("## Table II at scale")[1].split("\n## ")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {line[2].strip("`"): (tuple(line[4:7]), tuple(line[8:11])) for line in lines[2:]}


@pytest.mark.parametrize("data", SETS)
def test_the_table_at_scale_is_the_measured_one(data):
    rows, told = measured(), page()
    assert {system for _, system in rows} <= told.keys()
    for system, cells in told.items():
        row = rows.get((data, system))
        expected = ("", "", "")
        if row:
            test, training, hours = (float(row[name]) for name in ("test_percent", "train_percent", "hours"))
            expected = (f"**{test:.2f}**", f"{training:.2f}", f"{hours:.1f}")
        assert cells[SETS.index(data)] == expected, system
