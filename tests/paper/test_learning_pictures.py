"""Learning curves of Table II: all that was measured is drawn, and what is above an axis is marked."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from paper.studies import learning, page
from plumbing.axes import logarithmic

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows():
    """The committed table at scale."""
    with (ROOT / "results/table2-scale.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def run(system, *errors, variant="tuned"):
    """A row of one seed, whose training and test errors are the same."""
    both = {f"{kind}_{n}": str(error) for kind in learning.KINDS for n, error in enumerate(errors, 1)}
    return {"data": "mnist", "system": system, "variant": variant} | both


@pytest.mark.parametrize("data", ["mnist", "fashion-mnist"])
def test_each_seed_has_a_line_of_all_its_epochs_and_the_paper_a_mark(rows, data):
    figure = learning.whole_runs(rows, [data])
    panels = [axes for axes in figure.axes if axes.get_ylabel() == learning.KINDS["test"]]
    drawn = [np.asarray(line.get_ydata()).tolist() for axes in panels for line in axes.lines]
    measured = [learning.curve(row, "test")[1] for row in page.select(rows, data=data)]
    assert all(errors in drawn for errors in measured)
    marked = [container for axes in panels for container in axes.containers]
    assert len(marked) == len({row["system"] for row in page.select(rows, data=data)})
    plt.close(figure)


def test_what_is_above_an_axis_is_marked_there():
    learns, lost = run("snn-ep", 8.0, 2.0, 1.0), run("crnn-bptt", 7.0, 60.0, 90.0)
    figure = learning.whole_runs([learns, lost], ["mnist"])
    axes = figure.axes[1]
    top = axes.get_ylim()[1]
    assert top == pytest.approx(8.8)
    triangles = [line for line in axes.lines if line.get_marker() == "^"]
    assert [np.asarray(line.get_xdata()).tolist() for line in triangles] == [[2, 3]]
    assert [line.get_color() for line in triangles] == [page.COLOURS["crnn-bptt"]]
    legend = figure.axes[2].get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "above the axis"
    plt.close(figure)


@pytest.mark.parametrize("errors", [(8.0, 2.0, 1.0), (90.0, 90.0)])
def test_an_axis_that_has_room_for_all_has_no_such_mark(errors):
    assert learning.ceiling([run("snn-ep", *errors)], "test") == math.inf


def test_variants_of_a_system_differ_in_their_lines():
    figure = learning.whole_runs([run("snn-ep", 2.0, 1.0), run("snn-ep", 3.0, 1.5, variant="tuned weak feedback")], ["mnist"])
    assert [line.get_linestyle() for line in figure.axes[1].lines[:2]] == ["-", "--"]
    plt.close(figure)


def test_a_short_run_has_a_panel_for_each_variant():
    figure = learning.short_runs([run("snn-ep", 80.0, 40.0), run("snn-ep", 70.0, 30.0, variant="table-1 short")], ["mnist"], 2)
    assert [axes.get_title() for axes in figure.axes] == ["mnist, tuned", "mnist, table-1 short"]
    plt.close(figure)


@pytest.mark.parametrize(("low", "high", "shown"), [(0.02, 90, {"0.02", "0.05", "50"}), (0.7, 7, {"0.7", "1.5", "3", "4"})])
def test_ticks_are_what_they_say(low, high, shown):
    figure, axes = plt.subplots()
    axes.plot([1, 2], [low, high])
    axes.set_yscale("log")
    logarithmic(axes)
    figure.canvas.draw()
    labels = {float(tick.get_text()): place for place, tick in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert all(place == pytest.approx(value) for value, place in labels.items())
    assert shown <= {tick.get_text() for tick in axes.get_yticklabels()}
    plt.close(figure)
