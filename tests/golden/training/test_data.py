"""Data sets: the embedded digits, torchvision's files, and the errors for missing or damaged ones."""

import hashlib
import os

import numpy as np
import pytest
import torch

from nudge.golden.embedded import make
from nudge.golden.training import data
from nudge.golden.training.epoch import order
from nudge.golden.training.sets import idx
from nudge.plumbing.errors import DataError, PlanError
from tests.sets import write_set


def test_embedded_digits():
    digits = data.load("embedded")
    parts = (digits.train_images, digits.train_labels, 1000), (digits.test_images, digits.test_labels, 500)
    for images, labels, count in parts:
        assert images.shape == (count, 28, 28)
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert labels.bincount().tolist() == [count // 10] * 10
        assert len(images.flatten(1).unique(dim=0)) == count
        assert 20 < float(images.double().mean()) < 50
    assert data.EMBEDDED.stat().st_size < 400_000
    both = torch.cat([digits.train_images, digits.test_images]).flatten(1)
    assert len(both.unique(dim=0)) == 1500, "a test digit is among the training digits"


def publish(monkeypatch, name: str, folder) -> None:
    """Make the checksums of these files those of the data set `name`."""
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setitem(idx.CHECKSUMS, name, sums)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_torchvision_files(name, tmp_path, monkeypatch):
    raw = tmp_path / data.FOLDERS[name]
    arrays = write_set(raw, np.random.default_rng(0))
    publish(monkeypatch, name, raw)
    monkeypatch.delenv(data.VARIABLE, raising=False)
    explicit = data.load(name, tmp_path)
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    for loaded in (explicit, data.load(name)):
        for tensor, array in zip(loaded, arrays.values(), strict=True):
            assert np.array_equal(tensor.numpy(), array)
        assert loaded.train_images.dtype == torch.uint8


def test_what_lies_beside_the_files_is_not_looked_at(tmp_path, monkeypatch):
    """Older versions of torchvision left a pickled form of the data, which newer versions prefer."""
    raw = tmp_path / "MNIST" / "raw"
    arrays = write_set(raw, np.random.default_rng(0))
    publish(monkeypatch, "mnist", raw)
    (tmp_path / "MNIST" / "processed").mkdir()
    forged = torch.zeros(6, 28, 28, dtype=torch.uint8), torch.zeros(6, dtype=torch.int64)
    for name in ("training.pt", "test.pt"):
        torch.save(forged, tmp_path / "MNIST" / "processed" / name)
    for tensor, array in zip(data.load("mnist", tmp_path), arrays.values(), strict=True):
        assert np.array_equal(tensor.numpy(), array)


def test_embedded_is_a_subset_by_its_rule():
    if not os.environ.get(data.VARIABLE):
        pytest.skip(f"{data.VARIABLE} isn't set")
    expected = make.subset(data.load("mnist"))
    for tensor, array in zip(data.load("embedded"), expected.values(), strict=True):
        assert np.array_equal(tensor.numpy(), array)


def test_choice_is_balanced_and_repeatable():
    labels = torch.arange(200) % 10
    chosen = make.choose(labels, 5, 1)
    assert len(set(chosen.tolist())) == 50
    assert labels[chosen].bincount().tolist() == [5] * 10
    assert make.choose(labels, 5, 1).tolist() == chosen.tolist()
    assert make.choose(labels, 5, 2).tolist() != chosen.tolist()


def test_missing_data_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        PlanError, match="unknown data set 'cifar': choose one of embedded, mnist, fashion-mnist"
    ):
        data.load("cifar")
    with pytest.raises(
        DataError,
        match="mnist isn't here: `nudge data get mnist` fetches it, or set NUDGE_DATA or --data-dir",
    ):
        data.load("mnist")
    with pytest.raises(DataError) as caught:
        data.load("fashion-mnist", tmp_path)
    assert str(tmp_path / "FashionMNIST" / "raw") in str(caught.value)
    assert f"; `nudge data get fashion-mnist --dir {tmp_path}` fetches it, or" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("odd", ["x" * 5000, "/" + "x" * 5000, "a\0b", "/a\0b"])
def test_a_path_that_no_file_can_have_is_refused(odd):
    with pytest.raises(PlanError, match=r"File name too long|must be a path"):
        data.load(odd)
    with pytest.raises(DataError, match=r"File name too long|null byte"):  # as a weight file may have it
        data.load(data.Source(data.PATH, odd))
    for name in ("mnist", "cifar10"):
        with pytest.raises(DataError, match=r"File name too long|null byte"):
            data.load(name, odd)


@pytest.mark.parametrize("size", [0, 3, 16, 1000])
def test_unreadable_data_is_named(tmp_path, monkeypatch, size):
    folder = tmp_path / "MNIST" / "raw"
    write_set(folder, np.random.default_rng(0))
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:size])
    publish(monkeypatch, "mnist", folder)
    with pytest.raises(DataError, match="mnist not readable"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize("part", range(4))
def test_other_data_is_refused(tmp_path, monkeypatch, part):
    folder = tmp_path / "MNIST" / "raw"
    write_set(folder, np.random.default_rng(0))
    publish(monkeypatch, "mnist", folder)
    data.load("mnist", tmp_path)
    file = folder / list(idx.CHECKSUMS["mnist"])[part]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        DataError, match=f"{file.name}: SHA-256 is [0-9a-f]{{64}}, not [0-9a-f]{{64}}; `nudge data get mnist"
    ):
        data.load("mnist", tmp_path)


def test_order_depends_on_seed_and_epoch():
    orders = [tuple(order(50, seed, epoch)) for seed in (1, 2) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] == tuple(order(50, 1, 0))


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_embedded_digits_that_are_damaged(tmp_path, monkeypatch, damage):
    content = bytearray(data.EMBEDDED.read_bytes())
    content[len(content) // 2] ^= 1
    file = tmp_path / "digits.npz"
    if damage != "gone":
        file.write_bytes(content[:-1000] if damage == "cut" else content)
    monkeypatch.setattr(data, "EMBEDDED", file)
    with pytest.raises(DataError, match=r"^the embedded digits can't be read: .*; install nudge again$"):
        data.load("embedded")
