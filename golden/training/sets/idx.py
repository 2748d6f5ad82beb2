"""MNIST and FashionMNIST from torchvision's files in `MNIST/raw` and `FashionMNIST/raw`, packed or not."""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nudge.plumbing import files
from nudge.plumbing.errors import DataError

from .own_data import Arrays

#: Files of each data set: training images and labels, test images and labels.
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

#: SHA-256 of each data set's files, as torchvision unpacks them: results are for exactly these images.
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

#: Largest size of a file in bytes, packed and unpacked; the largest real one has 47,040,016.
MAX_BYTES = 1 << 26


def load(name: str, raw: Path) -> Arrays:
    """Return training images and labels, test images and labels, as bytes.

    name: a key of `CHECKSUMS`. raw: the folder of its files, as published (.gz) or unpacked. Raises
    `DataError` for a file that is missing, not readable or not the published one.
    """
    try:
        images, labels, test_images, test_labels = (_array(content) for content in _contents(name, raw))
    except (IndexError, ValueError) as error:
        raise DataError(f"{name} not readable in {raw}: {error}") from error
    return images, labels, test_images, test_labels


def _array(content: bytes) -> np.ndarray:
    """Return the array of an IDX file: its rank in byte 3, its shape, then bytes.

    Format: http://yann.lecun.com/exdb/mnist.
    """
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


def _contents(name: str, raw: Path) -> Iterator[bytes]:
    """Yield the contents of the data set's `FILES`; `DataError` if one is missing or isn't the published one.

    No other file in the folder is read, and each is read once: the checked bytes are the ones used.
    """

    def unreadable(why: str) -> DataError:
        return DataError(f"{name} not readable: looked for {', '.join(CHECKSUMS[name])} in {raw} ({why})")

    for file in FILES:
        packed = raw / f"{file}.gz"
        check, path = (unpacked, packed) if os.access(packed, os.F_OK) else (verified, raw / file)
        yield check(files.read(path, MAX_BYTES, unreadable), path, CHECKSUMS[name][file])


def verified(content: bytes, what: object, checksum: str) -> bytes:
    """Return the content; `DataError` about `what`, its path or address, if its SHA-256 is another one."""
    if (found := hashlib.sha256(content).hexdigest()) != checksum:
        raise DataError(f"{what}: SHA-256 is {found}, not {checksum}")
    return content


def unpacked(packed: bytes, what: object, checksum: str) -> bytes:
    """Return the `verified` content of a .gz file."""
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(MAX_BYTES)
    except (OSError, EOFError, zlib.error) as why:
        raise DataError(f"{what} can't be unpacked: {why}") from None
    return verified(content, what, checksum)
