"""`nudge predict` reads pictures of any size as it reads their digits; each error is one line."""

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

import nudge
from nudge.plumbing.errors import ExitCode

from .command import run, run_json

DATA = nudge.data("embedded")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Forty test digits as PNG files, and as JPEG files of black ink on large sheets, off the middle."""
    folder = tmp_path_factory.mktemp("digits")
    for n, digit in enumerate(DATA.test_images[:40].numpy()):
        image = Image.fromarray(digit)
        image.save(folder / f"{n:02}.png")
        sheet = ImageOps.scale(ImageOps.invert(ImageOps.expand(image, (n, 60, 9, 7))), 7)
        sheet.convert("RGB").save(folder / f"{n:02}.jpg")
    return folder


def test_a_digit_of_the_networks_size_is_read_as_eval_reads_it(capsys, digits):
    code, found = run_json(capsys, "predict", "small-mnist", *sorted(digits.glob("*.png")))
    wanted = run_json(capsys, "eval", "small-mnist", "--data", "embedded", "--samples", "40")[1][
        "predictions"
    ]
    assert code == ExitCode.OK
    assert [each["class"] for each in found["pictures"]] == wanted
    assert [each["name"] for each in found["pictures"]] == list(map(str, wanted))
    assert found["pictures"][3]["path"] == str(digits / "03.png")
    assert found["outputs_fraction"] == 10
    assert found["outputs"] == "xi of each output, summed over the last 4 sweeps of the free phase, LSB 2^-10"
    net = nudge.Network.load("small-mnist")
    sums = net.trace(DATA.test_images[3]).free[len(net.spec.stages)].window_sum.ravel()
    assert found["pictures"][3]["outputs"] == sums.tolist()


def test_photographs_of_digits_are_placed_as_mnists(capsys, digits):
    """With --invert at most one of the forty is misread; without it more than half are."""
    labels, files = DATA.test_labels[:40].numpy(), sorted(digits.glob("*.jpg"))

    def wrong(*options):
        found = run_json(capsys, "predict", "small-mnist", *files, *options)[1]["pictures"]
        return int((np.array([each["class"] for each in found]) != labels).sum())

    assert wrong("--invert") <= 1
    assert wrong() > 20


def test_from_python_it_is_the_same(capsys, digits):
    files = sorted(digits.glob("*.jpg"))[:5]
    found = run_json(capsys, "predict", "small-mnist", "--invert", *files)[1]["pictures"]
    ours = nudge.Network.load("small-mnist").predict_pictures(*map(str, files), invert=True)
    assert [each.outputs.tolist() for each in ours] == [each["outputs"] for each in found]
    assert [(str(each.path), each.label, each.name) for each in ours] == [
        (each["path"], each["class"], each["name"]) for each in found
    ]
    assert ours[0].pixels.shape == (1, 28, 28)
    assert ours[0].outputs.argmax() == ours[0].label
    # a network that learns digits here places pictures as MNIST's, too
    net = nudge.Network.preset("tiny")
    before = net.predict_pictures(files[0])[0].pixels
    net.fit(samples=16, free_steps=4, nudged_steps=4)
    assert not np.array_equal(net.predict_pictures(files[0])[0].pixels, before)
    assert net.predict_pictures() == []


def test_names_take_the_place_of_numbers(capsys, tmp_path, digits):
    names = ["T\x1b[31m", *"bcdefghij"]
    own = nudge.Data(*(part[:16] for part in DATA), classes=names)
    net = nudge.Network.preset("tiny")
    net.fit(own, samples=16, out=tmp_path / "run")
    code, text, _ = run(capsys, "predict", tmp_path / "run", digits / "00.png")
    first, said, values = text.splitlines()
    assert code == ExitCode.OK
    assert first == "outputs: xi of each output, summed over the last 4 sweeps of the free phase; 1024 is 1"
    assert said == f"{digits / '00.png'}: {net.classes[int(net.predict(DATA.test_images[:1])[0])]}"
    assert values.startswith(r"  T\x1b[31m: ")
    assert ", j: " in values
    # eval names its rows, too
    np.savez(tmp_path / "own.npz", **{name: part.numpy() for name, part in own._asdict().items()})
    options = (tmp_path / "run", "--data", tmp_path / "own.npz")
    assert r"T\x1b[31m 0" in run(capsys, "eval", *options)[1].splitlines()[2]
    assert run_json(capsys, "eval", *options)[1]["classes"] == [r"T\x1b[31m", *"bcdefghij"]


def test_of_many_outputs_the_largest_are_printed(capsys, tmp_path):
    shown = {"channels": 3, "height": 8, "width": 12, "classes": 26}
    net = nudge.Network([nudge.Dense(26)], input=shown, seed=1, learning={"gain": 8.0})
    net.fit(samples=16, free_steps=4, nudged_steps=4, out=tmp_path / "run")
    Image.new("RGB", (12, 8), (200, 100, 50)).save(tmp_path / "a.png")
    code, text, _ = run(capsys, "predict", tmp_path / "run", tmp_path / "a.png")
    head, said, values = text.splitlines()
    found = net.predict_pictures(tmp_path / "a.png")[0]
    assert code == ExitCode.OK
    assert head.endswith("; 1024 is 1; the largest 10")
    assert said.endswith(f"a.png: {found.name}")
    printed = [tuple(map(int, value.split(": "))) for value in values.strip().split(", ")]
    assert [value for _, value in printed] == sorted(found.outputs, reverse=True)[:10]
    assert all(found.outputs[n] == value for n, value in printed)
    assert printed[0][0] == found.label
    assert len(set(found.outputs.tolist())) > 3


def test_a_coloured_network_is_shown_colour(tmp_path):
    net = nudge.Network(
        [nudge.Dense(3)], input={"channels": 3, "height": 8, "width": 12, "classes": 3}, seed=1
    )
    Image.new("RGB", (24, 32), (200, 100, 50)).save(tmp_path / "a.png")
    found = net.predict_pictures(tmp_path / "a.png")[0]
    assert found.pixels[:, 4, 6].tolist() == [200, 100, 50]
    assert found.pixels[:, :, :3].max() == 0
    assert found.name == str(found.label)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.png", None, "none.png: No such file or directory"),
        ("text.png", b"no picture", "text.png is no picture that can be read"),
        (".", None, ": is no file"),
        ("\x1b[31m\n.png", b"no picture", r"\x1b[31m .png is no picture that can be read"),
    ],
)
def test_what_is_no_picture_is_one_line_and_nothing_is_said(capsys, tmp_path, digits, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = run(capsys, "predict", "small-mnist", digits / "00.png", tmp_path / name)
    assert (code, out) == (ExitCode.DATA, "")
    assert err.startswith("nudge: ")
    assert words in err
    assert err.count("\n") == 1


def test_what_is_no_network_is_one_line(capsys, digits):
    code, out, err = run(capsys, "predict", "smal-mnist", digits / "00.png")
    assert (code, out) == (ExitCode.WEIGHTS, "")
    assert "no weights at smal-mnist: give a file, a run's folder, or one of" in err
    assert run(capsys, "predict", "small-mnist")[0] == ExitCode.USAGE


def test_what_is_printed_is_json_for_any_name_of_a_file(capsys, tmp_path, digits):
    path = tmp_path / "a\udcff.png"
    path.write_bytes((digits / "00.png").read_bytes())
    code, out, _ = run(capsys, "predict", "tiny-mnist", path, "--json")
    assert code == ExitCode.OK
    assert json.loads(out)["pictures"][0]["path"] == str(path)
    assert r"a\udcff.png: " in run(capsys, "predict", "tiny-mnist", path)[1]
