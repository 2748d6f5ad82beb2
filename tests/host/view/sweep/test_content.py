"""A sweep's page has the numbers of its table, however far the sweep is."""

import json
import re
import shutil
import statistics
import subprocess
import sys

import PIL.Image
import pytest

from nudge.golden.training.folder import EPOCHS, METRICS
from nudge.golden.training.metrics import read_epochs
from nudge.host.cli import main as cli
from nudge.host.sweep import table
from nudge.host.sweep.table import COPY, RUNS, TABLE, Figures, Row, State
from nudge.host.view.save import save
from nudge.host.view.sweep import folder as folders
from nudge.host.view.sweep.content import COLUMNS, content, tables
from nudge.host.view.sweep.folder import IN_PROGRESS, Reader, short
from nudge.host.view.sweep.picture import PICTURE, picture, write
from nudge.host.view.sweep.settings import axes, settings, shown
from nudge.host.view.ticks import round_ticks
from nudge.host.view.watch import SECONDS, Watch
from nudge.plumbing.errors import ExitCode, PlanError, ViewError

from .conftest import MESSAGE, VALUES, add

#: Prints how many runs a sweep's file asks for, without the package tomli-w.
WITHOUT = """
import sys
from pathlib import Path
sys.modules["tomli_w"] = None
from nudge.host.view.sweep.folder import Reader
print(Reader(Path(sys.argv[1])).read().total)
"""


def rows_of(found):
    return {row[0]: dict(zip(found.columns, row, strict=True)) for row in found.rows}


def test_the_table_has_all_runs_with_their_states(finished):
    sweep = Reader(finished).read()
    rows = rows_of(tables(sweep)[0])
    assert list(rows) == ["a", "b", "c", "d", "e", "f", "g"]
    assert {name: row["state"] for name, row in rows.items()} == dict.fromkeys("abcd", "done") | {
        "e": "failed",
        "f": "pruned",
        "g": IN_PROGRESS,
    }
    for row in table.read(finished / TABLE):
        for key, value in VALUES[row.run].items():
            assert rows[row.run][key] == str(value)
        for name, (title, digits) in COLUMNS.items():
            value = getattr(row.figures, name)
            assert rows[row.run].get(title, "") == ("" if value is None else f"{value:.{digits}f}")
        assert rows[row.run]["message"] == row.error
    last = read_epochs(finished / RUNS / "g" / EPOCHS, 3)[-1]
    assert (rows["g"]["lr-scale"], rows["g"]["epochs"]) == ("", "3")
    assert rows["g"]["held-out error (%)"] == f"{last.held_out_error_percent:.2f}"
    assert "test error (%)" not in rows["a"], "it was never asked"


def test_settings_are_means_over_the_seeds_of_runs_that_are_done(finished):
    errors = {row.run: row.figures.percent or 0.0 for row in table.read(finished / TABLE)}
    slow, fast = ([errors[a], errors[b]] for a, b in ("ab", "cd"))
    means = tables(Reader(finished).read())[1]
    assert means.columns == ["lr-scale", "board", "seeds", "held-out error (%)"]
    expected = [
        [value, "golden", "2", f"{statistics.fmean(both):.2f} ± {statistics.stdev(both):.2f}"]
        for value, both in (("0.1", slow), ("2", fast))
    ]
    assert sorted(means.rows) == expected


def test_a_seed_twice_counts_once(growing):
    before = settings(Reader(growing).read())
    add(growing, Row("again", State.DONE, VALUES["a"], Figures(3, 50.0, 1.0, None, 1.0)))
    slow = next(each for each in settings(Reader(growing).read()) if each.values["lr-scale"] == "0.1")
    assert len(slow.errors) == 2
    assert 1.0 in slow.errors, "the better of the two"
    assert len(before) == 2


def test_points_and_curves_are_those_of_the_runs(finished):
    sweep = Reader(finished).read()
    made = content(sweep).tables
    rows = {row.run: row for row in table.read(finished / TABLE)}
    curves = {run: number for number, run in enumerate(made["curves"]["run"])}
    assert set(curves) == set("abcdfg"), "the failed one has no folder"
    for run, number in curves.items():
        ends = read_epochs(finished / RUNS / run / EPOCHS, 3)
        assert made["curves"]["xs"][number] == [end.samples for end in ends]
        assert made["curves"]["ys"][number] == [end.held_out_error_percent for end in ends]
    best = sorted(rows, key=lambda run: (rows[run].state != State.DONE, rows[run].figures.percent or 0))[:3]
    coloured = [
        run
        for run, colour in zip(made["curves"]["run"], made["curves"]["colour"], strict=True)
        if colour != "#808080"
    ]
    assert sorted(coloured) == sorted(best)
    assert dict(zip(made["ends"]["run"], made["ends"]["marker"], strict=True)) == {
        "f": "triangle",
        "g": "circle_dot",
    }
    lr, board, seed = axes(sweep)
    assert (lr.key, lr.categories, lr.logarithmic, lr.ticks) == ("lr-scale", None, True, (0.1, 2.0))
    assert (board.key, board.categories) == ("board", ("<i>sim</i>", "golden"))
    assert (seed.key, seed.logarithmic) == ("seed", False)
    points = made["points-0"]
    assert dict(zip(points["run"], zip(points["value"], points["percent"], strict=True), strict=True)) == {
        run: (float(VALUES[run]["lr-scale"]), row.figures.percent)
        for run, row in rows.items()
        if row.state != State.FAILED
    }
    assert [made["unknown-1"][name] for name in ("run", "value", "marker")] == [["e"], ["<i>sim</i>"], ["x"]]
    means = [made["means-0"][name] for name in ("percent", "low", "high")]
    for *drawn, each in zip(*means, settings(sweep), strict=True):
        assert drawn == pytest.approx([each.mean, each.mean - each.deviation, each.mean + each.deviation])
    assert made["means-2"]["value"] == [], "a seed has no mean over seeds"
    assert [x[1] for x in made["means-1"]["value"]] == [-0.3, 0.3], (
        "two settings of one category lie side by side"
    )


def test_the_summary_counts_and_names_the_smallest_error(finished):
    text = content(Reader(finished).read()).texts["progress"]
    rows = [row for row in table.read(finished / TABLE) if row.state == State.DONE]
    first = min(rows, key=lambda row: row.figures.percent or 0)
    values = ", ".join(f"{key} {value}" for key, value in VALUES[first.run].items())
    assert text == (
        '<progress value="6" max="12" aria-label="progress"></progress> 6 of 12 runs have ended: 4 done, 1 '
        "pruned, "
        f"1 failed, 1 in progress. Smallest: {first.figures.percent:.2f} % held-out error of {first.run} "
        f"({values})"
    )


def test_without_held_out_images_curves_are_of_the_training_error(growing):
    for path in (growing / RUNS).glob(f"*/{EPOCHS}"):
        path.unlink()
    rows = [
        Row(r.run, r.state, r.values, Figures(3, 40.0, None, 30.0, 1.0)) for r in table.read(growing / TABLE)
    ]
    table.write(growing / TABLE, rows)
    reader = Reader(growing)
    sweep = reader.read()
    assert (sweep.measured, sweep.held_out) == ("test error (%)", False)
    assert content(sweep).tables["curves"]["xs"][0] == [20, 40, 60, 80, 100, 120, 140, 160, 180]
    version = reader.version()
    with (growing / RUNS / "a" / METRICS).open("a") as stream:
        stream.write("3,20,20,10,50.0000,9.000\n")
    assert reader.version() != version


def test_an_empty_sweep_and_one_with_a_single_run_have_pages(tmp_path):
    (tmp_path / COPY).write_text("no TOML")
    text = save([tmp_path], tmp_path / "r.html").read_text()
    assert "no run has begun yet" in text
    assert 'id="plot-' not in text
    assert picture(tmp_path).axes[0].get_xlabel() == "training samples"
    table.write(tmp_path / TABLE, [Row("one", State.DONE, {"batch": 8}, Figures(1, 50.0, None, 0.0, 1.0))])
    text = save([tmp_path], tmp_path / "r.html").read_text()
    assert "1 of 1 run have ended: 1 done. Smallest: 0.00 % test error of one (batch 8)" in text
    assert re.findall(r'id="plot-([\w-]+)"', text) == ["against-0"]
    assert len(picture(tmp_path).axes) == 2


def test_a_sweep_whose_runs_all_failed_has_a_page(tmp_path):
    table.write(tmp_path / TABLE, [Row("one", State.FAILED, {"batch": 8, "seed": 1}, error=MESSAGE)])
    text = save([tmp_path], tmp_path / "r.html").read_text()
    assert "&lt;b&gt;7&lt;/b&gt;" in text
    assert MESSAGE not in text, "it is no markup"
    assert picture(tmp_path).axes[1].get_xlabel() == "batch"


def test_a_run_with_a_damaged_file_says_so_and_the_others_are_shown(growing):
    (growing / RUNS / "a" / EPOCHS).write_text("epoch\n1,2\n")
    sweep = Reader(growing).read()
    assert "epochs.csv is damaged" in rows_of(tables(sweep)[0])["a"]["message"]
    assert len(content(sweep).tables["curves"]["run"]) == 5


def test_more_runs_than_curves_show_those_of_the_smallest_errors(finished, monkeypatch):
    monkeypatch.setattr(folders, "CURVES", 3)
    sweep = Reader(finished).read()
    ranked = sorted(
        (row.figures.percent, row.run)
        for row in table.read(finished / TABLE)
        if row.figures.percent is not None
    )
    assert {trial.name for trial in sweep.trials if trial.curve} == {"g", *(run for _, run in ranked[:2])}


def test_numbers_and_labels_are_short():
    assert [short(x) for x in ("0.3159853874556992", "8", "[0.5, 1.0]", "1e-05")] == [
        "0.316",
        "8",
        "[0.5, 1.0]",
        "1e-05",
    ]
    path = "/a/path/to/some/network/file.toml"
    assert (shown(path), shown(path[:24])) == (f"…{path[-23:]}", path[:24])
    for ends, first in (([2, 4], (1, 1.5)), ([1, 90], (1, 2)), ([0.01, 90], (0.01, 0.03))):
        assert round_ticks(ends)[:2] == first
    assert round_ticks([1e-9, 1e3])[:2] == (1e-9, 1e-8)
    assert round_ticks([77, 98]) == (), "no round number lies between them"


def test_the_page_follows_the_sweep(growing):
    watch = Watch([growing])
    page = watch.page("/news")
    version = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.S)[0])
    assert watch.news(version["version"]) == {"version": version["version"]}
    add(growing, Row("g", State.DONE, VALUES["g"], Figures(3, 1.0, 2.5, None, 1.0)))
    news = watch.news(version["version"])
    assert "7 of 12 runs have ended" in news["texts"]["progress"]
    assert "g: 2.50 % held-out error" in news["texts"]["legend-curves"]
    assert "<td>done</td><td>2</td><td>golden</td><td>3</td>" in news["texts"]["rows-0"]
    watch._made -= 2 * SECONDS
    assert "7 of 12 runs" in watch.page("/news")
    (growing / TABLE).write_text("run,state\na,lost\n")
    assert "sweep.csv is damaged" in watch.news(news["version"])["error"]


def test_a_folder_that_becomes_a_sweep_is_waited_for(tmp_path, finished):
    """`nudge sweep --live` serves the page before it writes anything."""
    folder = tmp_path / "new"
    watch = Watch([folder])
    before = watch.begun
    shutil.copytree(finished, folder)
    assert (before, watch.begun) == (False, True)
    assert "6 of 12 runs" in watch.page("/news")


def test_what_is_no_sweep_or_one_of_several_is_one_line(finished, tmp_path, capsys):
    page = str(tmp_path / "r.html")
    assert cli.main(["view", str(finished), str(finished / RUNS / "a"), "--save", page]) == ExitCode.USAGE
    assert (
        capsys.readouterr().err.strip()
        == f"nudge: {finished} is a sweep, which has a page of its own: view it alone"
    )
    with pytest.raises(ViewError, match=r"no sweep at .*: it has no sweep\.toml"):
        write(tmp_path)
    (tmp_path / TABLE).write_text("run,state\na,lost\n")
    with pytest.raises(PlanError, match=r"sweep\.csv is damaged"):
        save([tmp_path], tmp_path / "r.html")


def test_the_picture_is_written_to_the_folder(growing):
    path = write(growing)
    assert path == growing / PICTURE
    with PIL.Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width == 1440
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50
    curves, *panels = picture(growing).axes
    assert len(curves.lines) == 6
    assert [panel.get_xlabel() for panel in panels] == ["lr-scale", "board", "seed"]
    assert [panel.get_xscale() for panel in panels] == ["log", "linear", "linear"]
    path.write_text("mine")
    with pytest.raises(OSError, match="it isn't replaced"):
        write(growing)


def test_a_page_needs_no_extra(finished):
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(finished)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(Reader(finished).read().total)
