"""A report is one file, of any run, whole or stopped; a folder that isn't a run ends in one line of error."""

import json
import os
import re
import shutil
from typing import Any

import numpy as np
import pytest

import nudge
from nudge.host.cli import main as cli
from nudge.host.view import look as looks
from nudge.host.view.folder import read
from nudge.host.view.save import save
from nudge.plumbing.errors import ExitCode, MetricsError, ViewError, WeightsError

#: A number larger than any of a run.
MANY = "9" * 400


def data(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_a_report_is_one_file_that_needs_nothing_else(runs, tmp_path, capsys):
    file = tmp_path / "report.html"
    assert cli.main(["view", *map(str, runs), "--save", str(file)]) == ExitCode.OK
    text = file.read_text()
    assert "report.html: open it in a browser" in capsys.readouterr().err
    head = text[: text.index('<script type="application/json"')]
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text[: len(head)]), "something is fetched"
    assert "<script src" not in text
    assert len(text) < 4_000_000
    assert data(text)["live"] is None
    # an open page finds the parts that it renews by their names, so no two parts have the same
    names = re.findall(r'"name": "([a-z]+-[\w-]+)"', text)
    assert len(names) > 30
    assert len(names) == len(set(names))
    # every figure has a place, and every place a caption
    for key in data(text)["items"]:
        assert f'id="plot-{key}"' in text
        assert f'id="caption-{key}"' in text


def test_a_run_that_grows_can_be_read_at_any_moment(runs, tmp_path):
    run = tmp_path / "growing"
    shutil.copytree(runs[0], run)
    whole = (run / "metrics.csv").read_text()
    for cut in range(0, len(whole), 7):
        (run / "metrics.csv").write_text(whole[:cut])
        assert len(read(run).rows) == max(whole[:cut].count("\n") - 1, 0)
    (run / "metrics.csv").unlink()
    for gone in ("epochs.csv", "board.json"):
        (run / gone).unlink()
    text = save([run], tmp_path / "r.html").read_text()
    assert "no epoch has ended yet" in text
    assert "no counters" in text


def test_a_stopped_run_is_shown_as_far_as_it_went(tmp_path):
    nudge.Network.preset("tiny").fit(
        epochs=2,
        samples=40,
        batch=20,
        free_steps=4,
        nudged_steps=4,
        out=tmp_path / "cut",
        callbacks=[lambda _: True],
    )
    folder = read(tmp_path / "cut")
    assert (folder.done, folder.total) == (20, 80)
    text = save([folder.path], tmp_path / "r.html").read_text()
    header = text[: text.index("<main>")]
    assert re.search(
        r'<progress value="20" max="80" [^>]*></progress> 20 of 80 training samples; \d:\d\d:\d\d left',
        header,
    )


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda run: shutil.rmtree(run), ViewError, "no run at .*: give the --out of a `nudge train`"),
        (
            lambda run: (run / "weights.safetensors").unlink(),
            ViewError,
            r"it has no weights.safetensors \(yet\)",
        ),
        (lambda run: (run / "weights.safetensors").write_bytes(b"half"), WeightsError, "no safetensors"),
        (
            lambda run: (run / "metrics.csv").write_text("epoch\nx,y\n"),
            MetricsError,
            "metrics.csv is damaged",
        ),
        (lambda run: (run / "epochs.csv").write_text("epoch\n1,2\n"), MetricsError, "epochs.csv is damaged"),
        (
            lambda run: (run / "metrics.csv").write_text(f"epoch\n0,20,{MANY},1,5.0,1.0\n"),
            MetricsError,
            "9 counts nothing",
        ),
        (
            lambda run: (run / "metrics.csv").write_text("epoch\n0,20,20,1,nan,1.0\n"),
            MetricsError,
            "nan counts nothing",
        ),
        (
            lambda run: (run / "epochs.csv").write_text(f"epoch\n1,{MANY},5.0,,1.0\n"),
            MetricsError,
            "9 counts nothing",
        ),
        (
            lambda run: (run / "board.json").write_text(f'{{"link": {{"a": {MANY}}}, "registers": {{}}}}'),
            ViewError,
            "damaged",
        ),
        (lambda run: (run / "board.json").write_text("[1"), ViewError, "board.json is damaged"),
        (
            lambda run: (run / "board.json").write_text('{"registers": {"a": "<b>"}}'),
            ViewError,
            "board.json is damaged",
        ),
        (
            lambda run: (run / "board.json").write_text(" " * 70000),
            ViewError,
            "board.json has 70000 bytes; at most 65536",
        ),
    ],
)
def test_what_is_no_run_is_one_line(runs, tmp_path, spoil, error, says):
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    spoil(run)
    with pytest.raises(error, match=says) as caught:
        save([run], tmp_path / "r.html")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r.html").exists()


def test_one_run_at_least_and_a_place_to_write(runs, tmp_path, capsys):
    with pytest.raises(ViewError, match=r"a page shows 1\.\.64 runs, not 65"):
        save([runs[0]] * 65, tmp_path / "r.html")
    with pytest.raises(ViewError, match=r"--save .*/none/r.html: no folder .*/none$"):
        save(runs, tmp_path / "none" / "r.html")


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "metrics.csv", "epoch-3.safetensors", "notes.txt", "pipe"]
)
def test_a_report_replaces_a_page_alone(runs, tmp_path, capsys, name):
    """This holds in a run's folder too, where nothing is left behind."""
    run = tmp_path / "run"
    shutil.copytree(runs[0], run)
    (run / "notes.txt").write_text("mine")
    os.mkfifo(run / "pipe")
    before = {path.name: path.stat().st_ino for path in run.iterdir()}
    assert cli.main(["view", str(run), "--save", str(run / name)]) == ExitCode.USAGE
    assert re.fullmatch(rf"nudge: --save {run / name}: [^\n]+\n", capsys.readouterr().err)
    assert {path.name: path.stat().st_ino for path in run.iterdir()} == before
    assert cli.main(["view", str(run), "--save", str(run / "r.html")]) == ExitCode.OK
    assert cli.main(["view", str(run), "--save", str(run / "r.html")]) == ExitCode.OK


def test_names_are_no_markup(tmp_path):
    """A directory or command line with markup in its name stays text."""
    run = tmp_path / "<img src=x onerror=alert(1)>"
    nudge.Network.preset("tiny").fit(samples=20, free_steps=4, nudged_steps=4, out=run)
    text = save([run], tmp_path / "r.html").read_text()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_names_that_are_no_unicode_are_escaped(runs, tmp_path):
    """A run's directory that isn't UTF-8, which no training makes, and a file of data, which one may read."""
    run, images = tmp_path / os.fsdecode(b"r\xff"), tmp_path / os.fsdecode(b"d\xff.npz")
    shutil.copytree(runs[0], run)
    assert "r\\udcff" in save([run], tmp_path / "r.html").read_text()
    parts: dict[str, Any] = {
        name: part[:30].numpy() for name, part in nudge.data("embedded")._asdict().items()
    }
    np.savez(images, **parts)
    nudge.Network.preset("tiny").fit(
        str(images), samples=20, free_steps=4, nudged_steps=4, out=tmp_path / "own"
    )
    assert "d\\udcff.npz" in save([tmp_path / "own"], tmp_path / "r.html").read_text()
    assert (tmp_path / "own" / "learning-curve.png").exists()


def test_a_network_too_large_to_step_says_so(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(looks, "STEPPED_BYTES", 1000)
    text = save([runs[0]], tmp_path / "r.html").read_text()
    assert re.search(
        r'id="nosteps-0">a trace of tiny over 6 \+ 2 x 4 sweeps has [\d,]+ bytes, 1,000 are allowed', text
    )


def test_images_of_ones_own_are_not_tried(tmp_path):
    own = nudge.Data(*(part[:30] for part in nudge.data("embedded")))
    nudge.Network.preset("tiny").fit(own, free_steps=4, nudged_steps=4, out=tmp_path / "own")
    assert (
        "the images that it learnt aren&#x27;t kept"
        in save([tmp_path / "own"], tmp_path / "r.html").read_text()
    )
