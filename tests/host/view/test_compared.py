"""Several runs side by side: a table of all, and means over seeds."""

import shutil
import statistics
from typing import Any

import nudge
from nudge.host.view import compared as tables
from nudge.host.view.compared import compared
from nudge.host.view.content import content
from nudge.host.view.folder import DRAWN, chosen, read
from nudge.host.view.look import look
from nudge.host.view.save import save

from .conftest import FEW, SEEDS


def looked_at(paths):
    return [(folder, look(folder)) for folder in map(read, chosen(paths))]


def test_a_folder_of_runs_is_a_table_of_what_differs(seeds):
    table, means = compared(looked_at([seeds]))
    options = ["lr_scale", "seed"]
    measured = ["training error (%)", "held out (%)", "test error (%)", "samples/s"]
    assert sorted(table.columns[1:3]) == options
    assert [table.columns[0], *table.columns[3:]] == ["run", "trained", *measured]
    found = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(found) == sorted(SEEDS)
    errors = {}
    for name, row in found.items():
        assert (row["seed"], row["trained"]) == (str(SEEDS[name]["seed"]), "100%")
        assert float(row["lr_scale"]) == SEEDS[name].get("lr_scale", 1)
        errors[name] = nudge.Network.load(seeds / name).evaluate().error_percent
        assert row["test error (%)"] == f"{errors[name]:.2f}"
    (mean,) = means.rows
    both = [errors["a"], errors["b"]]
    assert means.columns == ["runs", "lr_scale", "seeds", *measured]
    assert mean[:3] == ["a, b", "1.0", "2"]
    assert mean[5] == f"{statistics.fmean(both):.2f} ± {statistics.stdev(both):.2f}"


def test_a_run_alone_is_no_table(seeds):
    assert compared(looked_at([seeds / "a"])) == []
    (table,) = compared(looked_at([seeds / "a", seeds / "quick"]))
    assert table.columns[1] == "lr_scale"


def test_networks_of_one_name_are_told_apart(seeds, shapes):
    table, *_ = compared(looked_at([shapes]))
    networks = [row[table.columns.index("network")] for row in table.rows]
    assert len(set(networks)) == len(table.rows) == 4
    table, *_ = compared(looked_at([shapes / "grey", seeds / "a"]))
    assert [row[table.columns.index("network")] for row in table.rows] == ["mine", "tiny"]


def test_a_run_that_has_not_finished_is_in_no_mean(seeds, tmp_path):
    cut: dict[str, Any] = {"epochs": 1, "held_out": 40, "seed": 3, "callbacks": [lambda _: True]}
    nudge.Network.preset("tiny").fit(out=tmp_path / "cut", **FEW | cut)
    table, means = compared(looked_at([seeds / "a", seeds / "b", tmp_path / "cut"]))
    assert [row[table.columns.index("trained")] for row in table.rows] == ["100%", "100%", "33%"]
    assert [row[0] for row in means.rows] == ["a, b"]


def test_what_a_table_says_is_no_markup():
    assert (
        tables.Table("", [], [["<b>", "<i>"]]).body
        == '<tr><th scope="row">&lt;b&gt;</th><td>&lt;i&gt;</td></tr>'
    )


def test_many_runs_are_all_in_the_table(seeds, tmp_path):
    for number in range(DRAWN + 1):
        shutil.copytree(seeds / "a", tmp_path / "runs" / f"run {number}")
    text = save([tmp_path / "runs"], tmp_path / "r.html").read_text()
    assert text.count('<th scope="row">run ') == DRAWN + 1
    assert f'id="run-{DRAWN - 1}"' in text
    assert f'id="run-{DRAWN}"' not in text
    assert f"the curves are of the first {DRAWN}" in text
    assert len(content(looked_at([tmp_path / "runs"])).steps) == DRAWN
