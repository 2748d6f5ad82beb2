"""A reader's own images, and the embedded digits for any network; each error is one line."""

import json
import os
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.shapes import Input
from nudge.golden.training import data
from nudge.golden.training.epoch import augmented
from nudge.golden.training.sets import own_data, pictures
from nudge.plumbing.errors import DataError, PlanError
from tests.sets import noise

COLOUR, GREY = Input(3, 9, 8, 3), Input(1, 9, 8, 3)


@pytest.mark.parametrize("shown", [COLOUR, GREY], ids=["colour", "grey"])
def test_an_archive_is_read(tmp_path, shown):
    file, made = tmp_path / "mine.npz", noise(shown)
    np.savez(file, **made)
    found = data.load(str(file), shown=shown)
    for name, tensor in found._asdict().items():
        assert np.array_equal(tensor.numpy(), made[name].reshape(tensor.shape)), name
    assert found.train_images.ndim == (3 if shown.channels == 1 else 4)
    assert found.train_labels.dtype == torch.int64


@pytest.mark.parametrize("folder", ["plain", "C#", "#0123456789ab", "own"])
def test_a_run_remembers_exactly_its_data(tmp_path, monkeypatch, folder):
    tmp_path /= folder
    tmp_path.mkdir()
    file, made = tmp_path / "mine.npz", noise(GREY)
    np.savez(file, **made)
    monkeypatch.chdir(tmp_path)
    learnt = data.Source.asked("mine.npz").of(data.load("mine.npz", shown=GREY))
    assert (learnt.kind, learnt.path, len(learnt.digest)) == ("path", str(file), 12)
    assert data.Source.asked("embedded").of(data.load("embedded")) == data.Source("embedded")
    assert data.Source.recorded(json.loads(json.dumps(asdict(learnt)))) == learnt
    monkeypatch.chdir("/")
    data.load(learnt, shown=GREY)
    made["test_images"][2, 0, 8, 7] ^= 1
    np.savez(file, **made)
    with pytest.raises(
        DataError, match=r"mine.npz: its images and labels aren't those that were learnt: [0-9a-f]{12}, not "
    ):
        data.load(learnt, shown=GREY)
    data.load(str(file), shown=GREY)


def test_what_earlier_versions_recorded_is_read():
    known = {"mnist": data.Source("mnist"), "own": data.Source("given"), "/C#/d.npz#0123456789ab": None}
    known["/C#/d.npz#0123456789ab"] = data.Source("path", "/C#/d.npz", "0123456789ab")
    for old, source in known.items():
        assert data.Source.recorded(old) == source
    wrong: Any
    for wrong in (
        "",
        "letters",
        "own#0123456789ab",
        "/d.npz",
        "/d.npz#0123",
        1,
        None,
        [],
        {},
        {"kind": "own"},
        {"path": "/d"},
    ):
        with pytest.raises(PlanError, match=r"^(data can't be|unknown data set) [^\n]+$"):
            data.Source.recorded(wrong)
    for fields in (
        {"kind": "path"},
        {"kind": "mnist", "path": "/d"},
        {"kind": "given", "digest": "x"},
        {"kind": 1},
    ):
        with pytest.raises(PlanError):
            data.Source.recorded(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"test_labels": None},
            "has no test_labels: it must have train_images, train_labels, test_images, test_labels",
        ),
        (
            {"train_images": np.zeros((6, 9, 8), np.float32)},
            r"train_images must be uint8 .*, not float32 \(6, 9, 8\)",
        ),
        (
            {"train_images": np.zeros((6, 72), np.uint8)},
            r"train_images must be uint8 .*, not uint8 \(6, 72\)",
        ),
        (
            {"train_labels": np.zeros((6, 1), np.int64)},
            r"train_labels must be integers \(n,\), not int64 \(6, 1\)",
        ),
        ({"train_labels": np.zeros(6)}, r"train_labels must be integers \(n,\), not float64 \(6,\)"),
        ({"train_labels": np.zeros(5, np.int64)}, "6 images have 5 labels"),
        ({"train_labels": np.full(6, 3)}, r"has labels 3..3; the network has 3 classes, 0..2"),
        ({"test_labels": np.full(3, -1)}, r"has labels -1..-1; the network has 3 classes, 0..2"),
        ({"test_images": np.zeros((3, 8, 9), np.uint8)}, r"has images of 1x8x9 .*; the network takes 1x9x8"),
        (
            {"test_images": np.zeros((3, 3, 9, 8), np.uint8)},
            r"has images of 3x9x8 .*; the network takes 1x9x8",
        ),
        (
            {"test_images": np.zeros((0, 9, 8), np.uint8), "test_labels": np.zeros(0, np.int64)},
            "has no images to test",
        ),
        ({"train_labels": np.array([None] * 6)}, "is no .npz file"),
    ],
    ids=range(12),
)
def test_what_is_wrong_in_an_archive_is_said_in_one_line(tmp_path, change, message):
    file = tmp_path / "mine.npz"
    made = {name: array for name, array in (noise(GREY) | change).items() if array is not None}
    np.savez(file, **made)
    with pytest.raises(DataError, match=message) as caught:
        data.load(str(file), shown=GREY)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_a_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "mine.npz")
    with pytest.raises(DataError, match=r"mine.npz is no .npz file: .*is no file"):
        data.load(str(tmp_path / "mine.npz"), shown=GREY)
    (tmp_path / "a").mkdir()
    for number in range(5):
        os.mkfifo(tmp_path / "a" / f"{number}.png")
    with pytest.raises(DataError, match=r"0.png: is no file"):
        data.load(str(tmp_path), shown=GREY)


def test_each_flipped_bit_of_a_png_file_is_noticed_or_changes_nothing(tmp_path):
    """The chunks of PNG files have checksums, which Pillow alone doesn't check."""
    pixels = np.random.default_rng(1).integers(0, 256, (9, 8), np.uint8)
    file = tmp_path / "a.png"
    Image.fromarray(pixels).save(file)
    whole, noticed = file.read_bytes(), 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        try:
            assert np.array_equal(pictures.pixels(file, GREY)[0], pixels), f"bit {bit}"
        except DataError:
            noticed += 1
    assert noticed > 6 * len(whole)


def test_what_is_no_archive_or_not_there(tmp_path):
    file = tmp_path / "mine.npz"
    with pytest.raises(DataError, match=r"mine.npz: No such file or directory"):
        data.load(str(file))
    for content in (b"", b"PK\3\4" + bytes(40), b"\x80\x04N."):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"mine.npz is no .npz file"):
            data.load(str(file))
    with pytest.raises(
        PlanError, match=r"unknown data set 'mine': choose one of embedded, .*cifar10, a .npz file, or "
    ):
        data.load("mine")


def write_folder(folder, parts, shown=GREY):
    """Write `count` PNG files to each place; all pixels of file n are 10 n."""
    for place, count in parts.items():
        (folder / place).mkdir(parents=True)
        for n in range(count):
            image = np.full((shown.height, shown.width, shown.channels), 10 * n, np.uint8)
            Image.fromarray(image if shown.channels == 3 else image[:, :, 0]).save(
                folder / place / f"{n:03}.png"
            )


@pytest.mark.parametrize("shown", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_folder_of_png_files_that_is_split(tmp_path, shown):
    write_folder(
        tmp_path, {"train/cat": 3, "train/ant": 2, "test/ant": 1, "test/cat": 1, "test/bee": 1}, shown
    )
    found = data.load(str(tmp_path), shown=shown)
    # one of each class in turn; ant, bee, cat are 0, 1, 2
    assert found.train_labels.tolist() == [0, 2, 0, 2, 2]
    assert found.train_images.flatten(1)[:, 0].tolist() == [0, 0, 10, 10, 20]
    assert found.test_labels.tolist() == [0, 1, 2]
    assert found.train_images.shape[1:] == ((9, 8) if shown.channels == 1 else (3, 9, 8))


def test_a_folder_of_classes_is_split_here(tmp_path):
    write_folder(tmp_path, {"a": 10, "b": 6})
    (tmp_path / "a" / "notes.txt").write_text("no image")
    found = data.load(str(tmp_path), shown=GREY)
    assert (len(found.train_labels), found.test_labels.tolist()) == (13, [0, 1, 0])
    assert found.test_images[:, 0, 0].tolist() == [40, 40, 90]
    assert set(found.train_images[:, 0, 0].tolist()) == {0, 10, 20, 30, 50, 60, 70, 80}


def test_other_pictures_than_png_files_are_read(tmp_path):
    write_folder(tmp_path, {"a": 5})
    Image.open(tmp_path / "a" / "001.png").save(tmp_path / "a" / "001.JPG", quality=100)
    Image.open(tmp_path / "a" / "002.png").save(tmp_path / "a" / "002.bmp")
    for name in ("001.png", "002.png"):
        (tmp_path / "a" / name).unlink()
    (tmp_path / "a" / "notes.pdf").write_text("no picture")
    found = data.load(str(tmp_path), shown=GREY)
    assert found.train_images[:, 0, 0].tolist() == [0, 10, 20, 30]


def test_coloured_files_become_grey_and_grey_ones_coloured(tmp_path):
    write_folder(tmp_path / "colour", {"a": 5}, COLOUR)
    write_folder(tmp_path / "grey", {"a": 5}, GREY)
    grey, colour = (data.load(str(tmp_path / x), shown=y) for x, y in (("colour", GREY), ("grey", COLOUR)))
    assert grey.train_images[:, 0, 0].tolist() == [0, 10, 20, 30]
    assert colour.train_images[3].unique().tolist() == [30]


def test_what_is_wrong_in_a_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(DataError, match="has 0 pictures, too few to train and to test"):
        data.load(str(tmp_path), shown=GREY)
    write_folder(tmp_path, {"a": 5}, GREY)
    with pytest.raises(DataError, match=r"000.png has 9x8 pixels; the network takes 28x28"):
        data.load(str(tmp_path))
    (tmp_path / "a" / "002.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(
        DataError, match=r"002.png is no picture that can be read: of no known format, or cut off"
    ) as caught:
        data.load(str(tmp_path), shown=GREY)
    assert "\n" not in str(caught.value)
    write_folder(tmp_path, {"b": 5, "c": 5, "d": 5}, GREY)
    (tmp_path / "a" / "002.png").unlink()
    with pytest.raises(DataError, match=r"has labels 0..3; the network has 3 classes"):
        data.load(str(tmp_path), shown=GREY)


@pytest.mark.parametrize(
    "shown", [Input(1, 16, 16, 26), Input(3, 32, 40), Input(1, 64, 8, 2), Input(3, 28, 28, 10)], ids=str
)
def test_the_embedded_digits_are_made_to_fit_any_network(shown):
    whole, found = data.load("embedded"), data.load("embedded", shown=shown)
    known = whole.train_labels < shown.classes
    assert torch.equal(found.train_labels, whole.train_labels[known])
    assert int(found.test_labels.max()) == min(shown.classes, 10) - 1
    shape = shown.shape if shown.channels == 3 else shown.shape[1:]
    assert found.train_images.shape == (int(known.sum()), *shape)
    image, digit = found.train_images[0].reshape(shown.shape), whole.train_images[known][0]
    for channel, y, x in ((0, 0, 0), (shown.channels - 1, shown.height // 2, shown.width // 2)):
        assert image[channel, y, x] == digit[y * 28 // shown.height, x * 28 // shown.width]


def test_coloured_images_are_moved_and_mirrored_as_one():
    images = np.random.default_rng(3).integers(1, 256, (4, 3, 9, 8), np.uint8)
    numbers = np.arange(4)
    moved = augmented(images, numbers, 2, True, seed=1, epoch=0)
    for channel in range(3):
        assert np.array_equal(
            moved[:, channel], augmented(images[:, channel], numbers, 2, True, seed=1, epoch=0)
        )
    assert not np.array_equal(moved, images)


def test_mnist_does_not_fit_another_image():
    with pytest.raises(DataError, match=r"^mine has images of 1x28x28 .*; the network takes 1x16x16"):
        data._checked(data.load("embedded"), "mine", Input(1, 16, 16))
    assert data.load("embedded", shown=PRESETS["tiny"].input).train_images.shape == (1000, 28, 28)
    assert own_data.TEST_EVERY == 5
