"""docs/paper.md has the figures of results/table2-scale.csv."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import pytest

ROOT = Path(__file__).parents[3]
SETS = ("mnist", "fashion-mnist")


def measured():
    """Return the rows of all seeds, by data set and name on the page.

    The name is that of the system, with its variant unless that is `tuned` or `published`.
    """
    found = defaultdict(list)
    with (ROOT / "results/table2-scale.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            known = row["variant"] in ("tuned", "published")
            found[row["data"], row["system"] if known else f"{row['system']}, {row['variant']}"].append(row)
    return found


def told(rows):
    """Return (test, training, hours) as on the page: means over seeds, the test's ± deviation (seeds)."""
    test, training, hours = (
        [float(row[name]) for row in rows] for name in ("test_percent", "train_percent", "hours")
    )
    many = len(rows) > 1
    tested = f"**{mean(test):.2f} ± {stdev(test):.2f}** ({len(rows)})" if many else f"**{test[0]:.2f}**"
    return tested, f"{mean(training):.2f}", f"{mean(hours):.1f}"


def page():
    """Return, by name, (test, training, hours) of each data set, as written."""
    text = (ROOT / "docs/paper.md").read_text().split("## Table II at scale")[1].split("\n## ")[0]
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")
    ]
    return {line[2].strip("`"): (tuple(line[4:7]), tuple(line[8:11])) for line in lines[2:]}


@pytest.mark.parametrize("data", SETS)
def test_the_table_at_scale_is_the_measured_one(data):
    rows, written = measured(), page()
    assert {system for _, system in rows} <= written.keys()
    for system, cells in written.items():
        some = rows.get((data, system))
        assert cells[SETS.index(data)] == (told(some) if some else ("", "", "")), system
