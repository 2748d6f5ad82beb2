"""Data sets: the embedded MNIST subset, torchvision's from their files, or images of one's own. Nothing is downloaded."""

import hashlib
import io
import os
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from golden import files
from golden.contract.errors import DataError, PlanError
from golden.contract.shapes import Input

from . import cifar, idx, own_data

#: 1,000 training and 500 test digits of MNIST; embedded/README.md says how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Names of `load`, and torchvision's class of each, after which its folder is called.
TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10"}
NAMES = ("embedded", *TORCHVISION)

#: Between a path and the digest of what it had, in the name of a data set of one's own.
DIGEST = "#"

#: What a plan calls images that are none of these but were given by `nudge.Network.fit`.
OWN = "own"

#: Environment variable that names the root folder, the one that holds MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"


class Data(NamedTuple):
    """A data set."""

    #: uint8 (n, height, width), or in colour (n, 3, height, width).
    train_images: Tensor
    #: int64 (n,) of classes, from 0.
    train_labels: Tensor
    #: As `train_images`.
    test_images: Tensor
    #: As `train_labels`.
    test_labels: Tensor


def is_path(name: str) -> bool:
    """Whether a data set is one's own: a .npz file, or a folder, which has a / in its name or is there."""
    place = name.partition(DIGEST)[0]
    return bool(place) and (place.endswith(".npz") or "/" in place or (place not in NAMES and Path(place).is_dir()))


def check_name(name: str) -> None:
    """Raise `PlanError` for a data set that isn't one of `NAMES`, and no path."""
    if name not in NAMES and not is_path(name):
        raise PlanError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}, a .npz file, or a folder of PNG files")


def folder_of(root: str | Path | None = None) -> Path | None:
    """The folder to look for data in: `root`, else the environment's NUDGE_DATA; None: neither."""
    given = root or os.environ.get(VARIABLE)
    return Path(given) if given else None


def load(name: str, root: str | Path | None = None, shown: Input = Input()) -> Data:  # noqa: B008 (frozen)
    """The data set `name`: one of `NAMES`, or a path as `is_path` has it.

    root: see `folder_of`; "embedded" and paths need none.
    shown: the network's images and classes, which the data must fit. The embedded digits, which are there to try things
    out, are made to: scaled, the same in each channel, and without the digits that are no class.

    Raises `PlanError` for an unknown name, `DataError` for files that are missing or not the
    published ones, and for data that don't fit.
    """
    if name == "embedded":
        try:
            with np.load(io.BytesIO(files.read(EMBEDDED, idx.MAX_BYTES, DataError))) as file:
                arrays = [torch.from_numpy(file[field]) for field in Data._fields]
        except (DataError, BadZipFile, LookupError, ValueError) as error:
            raise DataError(f"the embedded digits can't be read: {error}; install nudge again") from None
        return _fitted(Data(arrays[0], arrays[1].long(), arrays[2], arrays[3].long()), shown)
    check_name(name)
    if is_path(name):
        return _own(name, shown)
    folder = folder_of(root)
    inside = cifar.FOLDER if name == "cifar10" else f"{TORCHVISION[name]}/raw"
    if folder is None:
        hint = "; the digits of --data embedded need none" if name == "mnist" else ""
        raise DataError(f"{name} needs a folder: set {VARIABLE} or --data-dir to the one that holds {inside}{hint}")
    if name == "cifar10":
        return _checked(_tensors(cifar.load(folder)), name, shown)
    hint = f"set {VARIABLE} or --data-dir to the folder that holds {inside}"
    return _checked(_tensors(idx.load(name, folder / inside, hint)), name, shown)


def named(name: str, data: Data) -> str:
    """What a plan calls a data set that was loaded: one's own by path and digest, so that no other is taken later."""
    if not is_path(name):
        return name
    place = name.partition(DIGEST)[0]
    return f"{Path(place).resolve()}{DIGEST}{digest(data)}"


def digest(data: Data) -> str:
    """Twelve digits of the SHA-256 of all images and labels."""
    found = hashlib.sha256()
    for tensor in data:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:12]


def _own(name: str, shown: Input) -> Data:
    """A data set of one's own; with a digest, exactly that one."""
    place, _, wanted = name.partition(DIGEST)
    path = Path(place)
    if not path.exists():
        raise DataError(f"--data {place}: no such file or folder")
    found = own_data.of_folder(path, shown) if path.is_dir() else own_data.of_file(path)
    data = _checked(_tensors(found), place, shown)
    if wanted and digest(data) != wanted:
        raise DataError(f"--data {place}: its images and labels aren't those that were learnt: {digest(data)}, not {wanted}")
    return data


def _tensors(arrays: own_data.Arrays) -> Data:
    images, labels, test_images, test_labels = map(torch.from_numpy, arrays)
    return Data(images, labels.long(), test_images, test_labels.long())


def _checked(data: Data, name: str, shown: Input) -> Data:
    """The data; `DataError` unless they fit the network. Grey images have three dimensions."""
    for images, labels in (data[:2], data[2:]):
        shape = tuple(images.shape[1:]) if images.ndim == 4 else (1, *images.shape[1:])
        if shape != shown.shape:
            found, wanted = ("x".join(map(str, x)) for x in (shape, shown.shape))
            raise DataError(f"{name} has images of {found} (channels, height, width); the network takes {wanted}")
        if not len(labels):
            raise DataError(f"{name} has no images to {'train' if images is data.train_images else 'test'}")
        if not 0 <= int(labels.min()) <= int(labels.max()) < shown.classes:
            found = f"{int(labels.min())}..{int(labels.max())}"
            raise DataError(f"{name} has labels {found}; the network has {shown.classes} classes, 0..{shown.classes - 1}")
    if shown.channels > 1:
        return data
    grey = (x.reshape(-1, *shown.shape[1:]) for x in (data.train_images, data.test_images))
    return Data(next(grey), data.train_labels, next(grey), data.test_labels)


def _fitted(data: Data, shown: Input) -> Data:
    """The embedded digits for any network: to the nearest pixel, the same in each channel, classes that there are."""
    if shown == Input():
        return data
    channels, *size = shown.shape

    def scaled(images: Tensor) -> Tensor:
        rows, columns = (torch.arange(new) * old // new for new, old in zip(size, images.shape[1:], strict=True))
        small = images[:, rows][:, :, columns]
        return small if channels == 1 else small[:, None].expand(-1, channels, -1, -1).contiguous()

    known = data.train_labels < shown.classes, data.test_labels < shown.classes
    return Data(
        scaled(data.train_images[known[0]]),
        data.train_labels[known[0]],
        scaled(data.test_images[known[1]]),
        data.test_labels[known[1]],
    )
