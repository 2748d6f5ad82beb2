"""A report has the values of the run; a folder that isn't a run ends in one line of error."""

import base64
import io
import json
import os
import re
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest

import nudge
from nudge.golden.contract.shapes import Layer
from nudge.golden.training.checkpoint import Checkpoint
from nudge.golden.training.data import load
from nudge.host.cli import main as cli
from nudge.host.view import look as looks
from nudge.host.view.content import content
from nudge.host.view.folder import read
from nudge.host.view.look import look
from nudge.host.view.save import save
from nudge.host.view.steps import GAP, listed, packed
from nudge.host.view.tiles import FIELDS, MOST, matrix, tiled, weights_picture
from nudge.plumbing.errors import ExitCode, MetricsError, ViewError, WeightsError

from .conftest import NAMES

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


def test_what_it_says_is_what_the_run_has(runs, monkeypatch):
    folder = read(runs[0])
    seen = look(folder)
    net = nudge.Network.load(runs[0])
    test = net.evaluate()
    assert seen.evaluation is not None
    assert seen.evaluation.error_percent == test.error_percent
    assert np.array_equal(seen.evaluation.predictions, test.predictions)
    digits = nudge.data("embedded")
    monkeypatch.setattr(looks, "TRIED", 5)
    traces = [net.trace(image) for image in digits.test_images[:5]]
    for n, share in enumerate(look(folder).firing, start=1):
        assert share == pytest.approx(np.mean([trace.free[n].spikes.mean() for trace in traces]))
    for image, label, said in seen.misread:
        assert said != label
        assert net.predict(image[None])[0] == said
    made = content([(folder, seen)])
    assert made.tables["held-0"]["samples"] == [60, 120]
    counts = re.findall(r"<td[^>]*>(\d*)</td>", made.texts["confusion-0"].partition("<tbody>")[2])
    assert [int(count or 0) for count in counts] == test.confusion.ravel().tolist()
    assert made.tables["error-0"]["samples"][-1] == folder.total == folder.done == 120
    assert "120 of 120 training samples" in made.texts["facts-0"]
    assert "spikes of the layer" in made.texts["counters-0"]


def test_a_stepper_has_every_sweep(runs):
    check_steps(runs[1], (6, 4, 4))


def check_steps(run, lengths):
    """Check that the first image of a run's stepper is the model's trace of it."""
    folder = read(run)
    image = content([(folder, look(folder))]).steps["steps-0"][0]
    net, images = nudge.Network.load(run), load(folder.plan.data, shown=folder.spec.input)
    labels = images.test_labels.numpy()
    right = np.flatnonzero(net.evaluate(images).predictions == labels)
    first = int(right[0])
    trace = net.trace(images.test_images[first], int(labels[first]))
    phases = [trace.free, trace.plus, trace.minus]
    assert tuple(map(len, phases)) == lengths
    for n in range(1, len(folder.spec.layers)):
        spikes, xi = (
            np.concatenate([getattr(phase[n], name) for phase in phases]) for name in ("spikes", "xi")
        )
        assert image["frames"][f"spikes-{n}"] == packed(tiled(spikes.astype(np.uint16), GAP))
        assert image["frames"][f"xi-{n}"] == packed(tiled(xi.astype(np.uint16), GAP))
    outputs = np.concatenate([phase[len(folder.spec.bundles)].xi[:, :, 0, 0] for phase in phases]) / 256
    assert np.array_equal(np.array(image["lines"]["ys"]).T, outputs)
    assert len(image["says"]) == sum(lengths)
    assert image["says"][-1].startswith("nudged phase, -beta, sweep 4 of 4. Spikes in layer 1: ")
    for n, (bundle, update) in enumerate(zip(folder.spec.bundles, trace.updates, strict=True), start=1):
        assert f"layer {n}: {(update.weight != 0).sum()} of {update.weight.size}" in image["moved"]
        assert len(image["updates"][f"update-{n}"]) == weights_picture(bundle, update.weight).size
    pixels = shown(image["image"])
    given = images.test_images[first].numpy()
    assert np.array_equal(pixels, 255 - given if given.ndim == 2 else given.transpose(1, 2, 0))


def shown(address: str) -> np.ndarray:
    """Return the pixels of a picture in a page."""
    assert address.startswith("data:image/png;base64,")
    return np.array(PIL.Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@pytest.mark.parametrize(
    ("name", "classes", "misread", "tile"),
    [
        ("colour", [*"0123456789"], (32, 32, 3), (3, 5, 5)),
        ("grey", [*"012"], (8, 9), (1, 3, 3)),
        ("dense", [*"0123456789"], (28, 28), (1, 28, 28)),
        ("named", NAMES, (16, 20, 3), (3, 5, 5)),
    ],
)
def test_any_images_and_classes_have_a_page(shapes, tmp_path, name, classes, misread, tile):
    run = shapes / name
    check_steps(run, (6, 4, 4))
    folder = read(run)
    made = content([(folder, look(folder))])
    first = np.hstack(nudge.Network.load(run).weights["bundle1.weight"][0].reshape(tile)) / 2**15
    assert np.array_equal(made.images["kernels-now-0"][: tile[1], : tile[0] * tile[2]], np.round(first, 4))
    for scope in ("col", "row"):
        assert (
            re.findall(rf'<th scope="{scope}"><span>([^<]*)</span></th>', made.texts["confusion-0"])
            == classes
        )
    assert ('class="turned"' in made.texts["confusion-0"]) == (name == "named")
    read_as = re.findall(r">([^<>]+) read as ([^<>]+)</li>", made.texts["misread-0"])
    assert read_as
    assert {name for pair in read_as for name in pair} <= set(classes)
    assert shown(re.findall(r'src="([^"]*)"', made.texts["misread-0"])[0]).shape == misread
    page = save([run], tmp_path / "r.html").read_text()
    assert "One image, sweep by sweep" in page
    assert f"Layer 2, the {len(classes)} outputs" in page


def test_pages_say_none_and_how_many(runs):
    """No misread image is said to be none; of many equally large outputs three are named."""
    folder = read(runs[0])
    seen = look(folder)
    made = content([(folder, replace(seen, misread=[]))])
    assert made.texts["misread-0"] == "<li>none</li>"
    values = np.array([5, 5, 3, 5, 5, 5])
    assert listed(values, [*"abcdef"]) == "a and b and d and 2 others"
    assert listed(values[:4], [*"abcd"]) == "a and b and d"


def test_weights_from_the_image_are_tiles_of_its_shape(shapes):
    """Colours lie side by side, in the update too; more weights than fit are left out, tile by tile."""
    spec = read(shapes / "named").spec
    weights = np.arange(5 * 3 * 5 * 5).reshape(5, 3, 5, 5)
    picture = weights_picture(spec.bundles[0], weights)
    assert np.array_equal(picture[:5, :15], np.hstack(weights[0]))
    assert np.isnan(picture[5]).all()
    wide = replace(read(shapes / "dense").spec.bundles[0], post=Layer(1, 1000, 1, 1))
    shown = weights_picture(wide, np.ones((1000, 784)))
    assert np.nansum(shown) == FIELDS // 784 * 784


def test_tiles_lose_nothing():
    maps = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    picture = tiled(maps, -1)
    assert picture.shape == (2 * 3 - 1, 3 * 4 - 1)
    assert sorted(picture[picture >= 0]) == list(range(30))
    assert np.array_equal(picture[3:5, 4:7], maps[4])
    assert np.array_equal(
        tiled(np.arange(40).reshape(40, 1, 1), -1)[1, :10], [32, 33, 34, 35, 36, 37, 38, 39, -1, -1]
    )
    large = np.zeros((10, 1000))
    large[3, 777] = -5
    large[4, 2] = 4
    shrunk = matrix(large)
    assert shrunk.shape[1] <= MOST
    assert [shrunk[3].min(), shrunk[4].max(), np.count_nonzero(shrunk)] == [-5, 4, 2]


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


def test_classes_have_their_names(runs, monkeypatch):
    """Names come from the weight file as far as it has any; other classes have numbers."""
    monkeypatch.setattr(Checkpoint, "names", ("<none>", "one"))
    folder = read(runs[0])
    assert folder.class_names == ["<none>", "one", *map(str, range(2, 10))]
    made = content([(folder, look(folder))])
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in ("&lt;none&gt;", "one", "2"))
    assert heads in made.texts["confusion-0"]
    assert "<none>" not in "".join(made.texts.values())
    assert made.steps["steps-0"][0]["lines"]["name"][1].startswith("one")


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
