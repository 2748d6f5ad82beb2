"""What a page shows has the values of the run and of the model, for any images and classes."""

import base64
import io
import re
from dataclasses import replace

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
from nudge.host.view.words import headline
from nudge.plumbing.errors import ExitCode

from .conftest import FEW, NAMES


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
    assert "<dd>tiny: conv 4, kernel 3; dense 10</dd>" in made.texts["facts-0"]
    assert "spikes of the layer" in made.texts["counters-0"]


def test_the_headline_is_the_runs_result(runs):
    """The twin is named only where it compared all commits up to the checkpoint."""
    folder = read(runs[0])
    seen = look(folder)
    test = nudge.Network.load(runs[0]).evaluate()
    plain = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", headline(folder, seen))
    error = f"{test.error_percent:.2f} % ({test.errors} of all 500 of the test set of embedded)"
    assert plain == [("test error", error), ("weights", "6,810"), ("board", "golden")]
    for compared in (None, 60, 120):
        found = headline(replace(folder, counters={"compared": compared}), seen)
        assert ("bit-identical" in found) == (compared == 120)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_twin_from_the_first_sample_on_is_recorded(tmp_path, resumed):
    run = tmp_path / "run"
    if resumed:
        nudge.Network.preset("tiny").fit(epochs=1, out=run, callbacks=[lambda _: True], **FEW)
        assert cli.main(["resume", str(run), "--twin"]) == ExitCode.OK
    else:
        nudge.Network.preset("tiny").fit(epochs=1, out=run, twin=True, **FEW)
    folder = read(run)
    assert (folder.counters["samples"], folder.counters["compared"]) == (60, None if resumed else 60)


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
