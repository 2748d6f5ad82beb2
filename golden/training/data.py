"""Data sets: the embedded MNIST subset, torchvision's from their files, or images of one's own. Nothing is downloaded."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from golden import files
from golden.contract.errors import DataError, PlanError
from golden.contract.shapes import Input

from . import cifar, own_data

#: 1,000 training and 500 test digits of MNIST; embedded/README.md says how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Names of `load`, and torchvision's class of each, after which its folder is called.
TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10"}
NAMES = ("embedded", *TORCHVISION)

#: Between a path and the digest of what it had, in the name of a data set of one's own.
DIGEST = "#"

#: What a plan calls images that are none of these but were given by `nudge.Network.fit`.
OWN = "own"

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
            with np.load(io.BytesIO(files.read(EMBEDDED, MAX_BYTES, DataError))) as file:
                arrays = [torch.from_numpy(file[field]) for field in Data._fields]
        except (DataError, BadZipFile, LookupError, ValueError) as error:
            raise DataError(f"the embedded digits can't be read: {error}; install nudge again") from None
        return _fitted(Data(arrays[0], arrays[1].long(), arrays[2], arrays[3].long()), shown)
    check_name(name)
    if is_path(name):
        return _own(name, shown)
    folder = folder_of(root)
    inside = f"{TORCHVISION[name]}/raw" if name in CHECKSUMS else cifar.FOLDER
    if folder is None:
        hint = "; the digits of --data embedded need none" if name == "mnist" else ""
        raise DataError(f"{name} needs a folder: set {VARIABLE} or --data-dir to the one that holds {inside}{hint}")
    if name == "cifar10":
        return _checked(_tensors(cifar.load(folder)), name, shown)
    raw = folder / TORCHVISION[name] / "raw"
    try:
        images, labels, test_images, test_labels = (_array(content) for content in _verified(name, raw))
    except (IndexError, ValueError) as error:
        raise DataError(f"{name} not readable in {raw}: {error}") from error
    return _checked(Data(images, labels.long(), test_images, test_labels.long()), name, shown)


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
    """Images (n, ..., h, w) of these numbers, as `drawn_moves` has them shown."""
    return moved(images, drawn_moves(numbers, shift, flip, seed, epoch))


def moved(images: np.ndarray, moves: Moves) -> np.ndarray:
    """Images (n, ..., h, w) as `moves` show them."""
    far = max((int(np.abs(part).max(initial=0)) for part in moves[:2]), default=0)
    padded = np.pad(images, (*[(0, 0)] * (images.ndim - 2), (far, far), (far, far)))
    height, width = images.shape[-2:]
    made = np.empty_like(images)
    for i, (down, right, mirrored) in enumerate(zip(*moves, strict=True)):
        shown = padded[i, ..., far - down : far - down + height, far - right : far - right + width]
        made[i] = shown[..., ::-1] if mirrored else shown
    return made
