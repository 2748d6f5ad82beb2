"""Digits and garments: the embedded MNIST subset, or MNIST and FashionMNIST from their files. Nothing is downloaded."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from golden import files
from golden.contract.errors import DataError, PlanError

#: 1,000 training and 500 test digits of MNIST; embedded/README.md says how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Names of `load`, and the folder of each, which is called after torchvision's class.
TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}
NAMES = ("embedded", *TORCHVISION)

#: Of each data set: training images and labels, test images and labels.
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

#: SHA-256 of each data set's files, uncompressed, under <folder>/<class>/raw: a result is of exactly these digits.
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}

#: Bytes of a data set's file at most; the largest has 47,040,016.
MAX_BYTES = 1 << 26

#: Environment variable that names the root folder, the one that holds MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"


class Data(NamedTuple):
    """A data set."""

    #: uint8 (n, 28, 28).
    train_images: Tensor
    #: int64 (n,) of 0..9.
    train_labels: Tensor
    #: uint8 (n, 28, 28).
    test_images: Tensor
    #: int64 (n,) of 0..9.
    test_labels: Tensor


def check_name(name: str) -> None:
    """Raise `PlanError` for a data set that isn't one of `NAMES`."""
    if name not in NAMES:
        raise PlanError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")


def folder_of(root: str | Path | None = None) -> Path | None:
    """The folder to look for data in: `root`, else the environment's NUDGE_DATA; None: neither."""
    given = root or os.environ.get(VARIABLE)
    return Path(given) if given else None


def load(name: str, root: str | Path | None = None) -> Data:
    """The data set `name`, one of `NAMES`. root: see `folder_of`; "embedded" needs none.

    Raises `PlanError` for an unknown name, `DataError` for files that are missing or not the
    published ones.
    """
    if name == "embedded":
        with np.load(EMBEDDED) as file:
            arrays = [torch.from_numpy(file[field]) for field in Data._fields]
        return Data(arrays[0], arrays[1].long(), arrays[2], arrays[3].long())
    check_name(name)
    folder = folder_of(root)
    if folder is None:
        hint = "; the digits of --data embedded need none" if name == "mnist" else ""
        raise DataError(
            f"{name} needs a folder: set {VARIABLE} or --data-dir to the one that holds {TORCHVISION[name]}/raw{hint}"
        )
    raw = folder / TORCHVISION[name] / "raw"
    try:
        images, labels, test_images, test_labels = (_array(content) for content in _verified(name, raw))
    except (IndexError, ValueError) as error:
        raise DataError(f"{name} not readable in {raw}: {error}") from error
    return Data(images, labels.long(), test_images, test_labels.long())


def _array(content: bytes) -> Tensor:
    """What an IDX file holds (http://yann.lecun.com/exdb/mnist): its rank in byte 3, its shape, then bytes."""
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())


def _verified(name: str, raw: Path) -> Iterator[bytes]:
    """Contents of the data set's `FILES`; `DataError` where one is missing or isn't the published one.

    Nothing else in the folder is looked at, and a file is read once: what is checked is what is used.
    """

    def unreadable(why: str) -> DataError:
        hint = f"set {VARIABLE} or --data-dir to the folder that holds {TORCHVISION[name]}/raw"
        return DataError(f"{name} not readable: looked for {', '.join(CHECKSUMS[name])} in {raw} ({why}); {hint}")

    for file in FILES:
        content = files.read(raw / file, MAX_BYTES, unreadable)
        if (found := hashlib.sha256(content).hexdigest()) != (expected := CHECKSUMS[name][file]):
            raise DataError(f"{raw / file}: SHA-256 is {found}, not {expected}: fetch {TORCHVISION[name]} again, uncompressed")
        yield content


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits `count` samples: a permutation by numpy's PCG64 from (seed, epoch)."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


class Moves(NamedTuple):
    """How images are shown: moved, zeros come in, and then mirrored. Arrays (n,)."""

    #: Pixels that the content goes down, and to the right; negative: up, and to the left.
    down: np.ndarray
    right: np.ndarray
    #: Left and right change places, after the move.
    mirrored: np.ndarray


def drawn_moves(numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int) -> Moves:
    """Moves of up to `shift` pixels in each direction; with `flip`, half of the images are mirrored.

    What happens to a sample depends on (seed, epoch, sample number) alone, so a batch may be split or repeated at will.
    """
    made = Moves(*(np.zeros(len(numbers), kind) for kind in (np.int64, np.int64, np.bool_)))
    for i, number in enumerate(numbers):
        random = np.random.Generator(np.random.PCG64([seed, epoch, int(number)]))
        y, x = random.integers(0, 2 * shift, 2, endpoint=True)
        made.down[i], made.right[i] = shift - y, shift - x
        made.mirrored[i] = flip and random.integers(0, 1, endpoint=True)
    return made


def augmented(images: np.ndarray, numbers: np.ndarray, shift: int, flip: bool, seed: int, epoch: int) -> np.ndarray:
    """Images (n, h, w) of these numbers, as `drawn_moves` has them shown."""
    return moved(images, drawn_moves(numbers, shift, flip, seed, epoch))


def moved(images: np.ndarray, moves: Moves) -> np.ndarray:
    """Images (n, h, w) as `moves` show them."""
    far = max((int(np.abs(part).max(initial=0)) for part in moves[:2]), default=0)
    padded = np.pad(images, ((0, 0), (far, far), (far, far)))
    height, width = images.shape[1:]
    made = np.empty_like(images)
    for i, (down, right, mirrored) in enumerate(zip(*moves, strict=True)):
        shown = padded[i, far - down : far - down + height, far - right : far - right + width]
        made[i] = shown[:, ::-1] if mirrored else shown
    return made
