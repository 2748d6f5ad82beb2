"""CIFAR-10 in the published files, and nothing else unpickled."""

import hashlib
import io
import pickle
import struct
from typing import Any

import numpy as np
import pytest

from nudge.golden.contract.shapes import Input
from nudge.golden.training import data
from nudge.golden.training.sets import cifar
from nudge.plumbing.errors import DataError

PLAIN: Any = pickle._Pickler


class Python2(PLAIN):
    """Pickles strings as Python 2 did, which wrote the published files."""

    def string(self, text: Any) -> None:
        content = text if isinstance(text, bytes) else text.encode()
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch = PLAIN.dispatch | {bytes: string, str: string}


def pickled(content) -> bytes:
    out = io.BytesIO()
    Python2(out, protocol=2).dump(content)
    return out.getvalue()


def published(tmp_path, monkeypatch, content=None):
    """Write small batches in CIFAR-10's format, and make their checksums the published ones."""
    random = np.random.default_rng(2)
    folder = tmp_path / data.FOLDERS["cifar10"]
    folder.mkdir()
    batches = {}
    for name in cifar.CHECKSUMS:
        images = random.integers(0, 256, (4, 3072), np.uint8)
        if name == "test_batch":
            images = np.asfortranarray(images)
        batches[name] = {
            b"data": images,
            b"labels": random.integers(0, 10, 4).tolist(),
            b"batch_label": name.encode(),
        }
        (folder / name).write_bytes(pickled(batches[name] if content is None else content))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in batches}
    monkeypatch.setattr(cifar, "CHECKSUMS", sums)
    return batches


def test_cifar10_is_read_from_torchvisions_files(tmp_path, monkeypatch):
    batches = published(tmp_path, monkeypatch)
    found = data.load("cifar10", tmp_path, Input(3, 32, 32))
    train = np.concatenate([batches[f"data_batch_{n}"][b"data"] for n in range(1, 6)])
    assert np.array_equal(found.train_images.numpy(), train.reshape(-1, 3, 32, 32))
    assert np.array_equal(found.test_images.flatten(1).numpy(), batches["test_batch"][b"data"])
    assert found.test_labels.tolist() == batches["test_batch"][b"labels"]
    with pytest.raises(DataError, match=r"cifar10 has images of 3x32x32 .*; the network takes 1x28x28"):
        data.load("cifar10", tmp_path)


def test_other_files_than_cifar10s_are_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"cifar10 isn't here: .* folder that holds cifar-10-batches-py"):
        data.load("cifar10")
    with pytest.raises(DataError, match=r"data_batch_1: No such file"):
        data.load("cifar10", tmp_path)
    published(tmp_path, monkeypatch, content=pytest.raises)  # a pickle that names a function
    with pytest.raises(
        DataError, match=r"data_batch_1 isn't a batch of CIFAR-10: 0 labels and \d+ bytes of pixels"
    ):
        data.load("cifar10", tmp_path)
    monkeypatch.undo()
    with pytest.raises(
        DataError,
        match=r"data_batch_1: MD5 of its \d+ bytes is [0-9a-f]{32}, not c99cafc1.*; `nudge data get ",
    ):
        data.load("cifar10", tmp_path)
