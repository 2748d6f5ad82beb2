"""Tables and pictures of studies show all measurements."""

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from nudge.paper.studies import table2
from nudge.paper.systems.published import PUBLISHED
from nudge.paper.tables import page
from nudge.plumbing.axes import logarithmic

ROOT = Path(__file__).parents[3]

ROWS = [
    {"system": system, "steps": steps, "seed": seed, "error": error}
    for system, steps, seed, error in (
        ("a", "1", "1", "2"),
        ("a", "2", "1", "5"),
        ("b", "1", "1", "nan"),
        ("a", "1", "2", "4"),
        ("b", "2", "2", "7.125"),
    )
]


def test_a_table_has_mean_and_deviation_over_the_seeds_of_each_row():
    columns = [
        page.Column("mean", "error", 1),
        page.Column("worst", lambda rows: max(row["error"] for row in rows)),
    ]
    assert page.table(ROWS, columns).splitlines() == [
        "| system | steps | mean | worst | seeds |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| a | 1 | 3.0 ± 1.4 | 4 | 2 |",
        "| a | 2 | 5.0 | 5 | 1 |",
        "| b | 1 | - | nan | 1 |",
        "| b | 2 | 7.1 | 7.125 | 1 |",
    ]


def test_values_of_a_label_become_columns():
    wide = page.across(ROWS, "steps", "error")
    assert page.table(wide, [page.Column(steps, steps, 0) for steps in "12"]).splitlines()[2:] == [
        "| a | 3 ± 1 | 5 | 2 |",
        "| b | - | 7 | 2 |",
    ]


def test_each_row_has_a_dot_in_each_panel():
    figure = page.dots({"error (%)": {"held out": "error"}, "steps": {"them": "steps"}})(ROWS)
    assert [axes.get_xlabel() for axes in figure.axes] == ["error (%)", "steps"]
    (errors,) = figure.axes[0].containers
    assert np.asarray(errors[0].get_xdata()).tolist() == pytest.approx([3, 5, np.nan, 7.125], nan_ok=True)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["a, 1", "a, 2", "b, 1", "b, 2"]
    plt.close(figure)


def test_names_of_curves_have_colours_and_styles():
    curves = [
        ("a, x", [1, 2], [1.0, 2.0]),
        ("a, y", [1, 2], [2.0, 3.0]),
        ("b, x", [1, 2], [3.0, 0.0]),
        ("b, p", [3], [1.0]),
    ]
    figure = page.curves([{"title": [*curves, curves[0]]}], "epoch")
    (axes,) = figure.axes
    assert [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines[:4]] == [
        ("C0", "-", "None"),
        ("C0", "--", "None"),
        ("C1", "-", "None"),
        ("C1", "None", "D"),
    ]
    assert axes.get_legend_handles_labels()[1] == ["a, x", "a, y", "b, x", "b, p"]
    assert axes.get_yscale() == "linear", "it has a 0"
    plt.close(figure)


def test_each_seed_of_table_2_has_a_curve_and_the_paper_a_mark():
    with (ROOT / "results/table2-scale.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    figure = table2.picture(rows)
    drawn = [np.asarray(line.get_ydata()).tolist() for axes in figure.axes for line in axes.lines]
    for row in rows:
        assert all(table2.curve(row, kind) in drawn for kind in table2.KINDS)
        assert [PUBLISHED[row["data"]][row["system"]].test] in drawn
    plt.close(figure)


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(0.02, 90, {"0.02", "0.05", "50"}), (0.7, 7, {"0.7", "1.5", "3", "4"})]
)
def test_ticks_are_what_they_say(low, high, shown):
    figure, axes = plt.subplots()
    axes.plot([1, 2], [low, high])
    axes.set_yscale("log")
    logarithmic(axes)
    figure.canvas.draw()
    labels = {
        float(tick.get_text()): place
        for place, tick in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }
    assert all(place == pytest.approx(value) for value, place in labels.items())
    assert shown <= {tick.get_text() for tick in axes.get_yticklabels()}
    plt.close(figure)
