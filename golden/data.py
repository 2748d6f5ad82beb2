"""Digits and garments: the embedded MNIST subset, or MNIST and FashionMNIST from torchvision's files. Nothing is downloaded."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

#: 1,000 training and 500 test digits of MNIST; embedded/README.md says how they were chosen.
EMBEDDED = Path(__file__).with_name("embedded") / "mnist-1500.npz"

#: Names of `load`, and the class of torchvision.datasets that reads each.
TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
NAMES = ("embedded", *TORCHVISION)

#: Environment variable that names the root folder, the one that holds MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"


class DataError(Exception):
    """A data set that isn't there or can't be read; the message says what was looked for and how to set it."""


class Data(NamedTuple):
    """Images uint8 (n, 28, 28), labels int64 (n,) of 0..9."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load(name: str, root: str | Path | None = None) -> Data:
    """The data set `name`, one of `NAMES`. root: default is the environment's NUDGE_DATA; "embedded" needs none."""
    if name == "embedded":
        with np.load(EMBEDDED) as file:
            arrays = [torch.from_numpy(file[field]) for field in Data._fields]
        return Data(arrays[0], arrays[1].long(), arrays[2], arrays[3].long())
    if name not in TORCHVISION:
        raise DataError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    folder = root or os.environ.get(VARIABLE)
    if not folder:
        raise DataError(f"{name} needs a folder: set {VARIABLE} or --data-dir to the one that holds {TORCHVISION[name]}/raw")
    from torchvision import datasets  # late: it takes a second, and the embedded digits don't need it

    reader = getattr(datasets, TORCHVISION[name])
    try:
        train, test = reader(folder, train=True), reader(folder, train=False)
    except (RuntimeError, OSError, ValueError, AssertionError) as error:
        raw = Path(folder) / TORCHVISION[name] / "raw"
        raise DataError(
            f"{name} not readable: looked for train-images-idx3-ubyte and its three companions in {raw}; "
            f"set {VARIABLE} or --data-dir to the folder that holds {TORCHVISION[name]}/raw"
        ) from error
    return Data(train.data, train.targets, test.data, test.targets)


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits `count` samples: a permutation by numpy's PCG64 from (seed, epoch)."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


def shifted(images: np.ndarray, numbers: np.ndarray, most: int, seed: int, epoch: int) -> np.ndarray:
    """Images (n, h, w) moved by up to `most` pixels in each direction; zeros come in.

    How far depends on (seed, epoch, sample number) alone, so a batch may be split or repeated at will.
    """
    padded = np.pad(images, ((0, 0), (most, most), (most, most)))
    height, width = images.shape[1:]
    moved = np.empty_like(images)
    for i, number in enumerate(numbers):
        y, x = np.random.Generator(np.random.PCG64([seed, epoch, int(number)])).integers(0, 2 * most, 2, endpoint=True)
        moved[i] = padded[i, y : y + height, x : x + width]
    return moved
