"""CIFAR-10 from the published archive, or from torchvision's files in `cifar-10-batches-py`.

The archive is read in memory; nothing is unpacked to the disk. The files are pickles, and unpickling one may
execute anything. So they aren't unpickled: a file with the published checksum has known contents, which are
read from the pickle's operations without executing any.
"""

import hashlib
import io
import os
import pickletools
import tarfile
from pathlib import Path

import numpy as np

from nudge.golden.contract.datasets import ARCHIVE, FOLDERS
from nudge.plumbing import files
from nudge.plumbing.errors import DataError

from . import idx

#: SHA-256 of the archive, as in Keras (keras/datasets/cifar10.py).
CHECKSUM = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

#: MD5 of each file, as in torchvision; no stronger checksum is published.
CHECKSUMS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

#: Shape of an image: channels, height, width.
SHAPE = (3, 32, 32)

#: Largest size of a file in bytes; the real ones have 31 million.
MAX_BYTES = 1 << 26

#: Largest size of the archive in bytes; the real one has 170,498,071.
MAX_ARCHIVE = 1 << 28


def load(root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images (50,000, 3, 32, 32) and labels, test images and labels.

    root: the folder that holds the archive, or the files' folder. Raises `DataError` for a file that is
    missing or not the published one.
    """
    paths = {f"{FOLDERS['cifar10']}/{name}": checksum for name, checksum in CHECKSUMS.items()}
    archive = root / ARCHIVE
    if os.access(archive, os.F_OK):
        contents = _members(idx.verified(files.read(archive, MAX_ARCHIVE, DataError), archive, CHECKSUM))
    else:
        contents = {path: files.read(root / path, MAX_BYTES, DataError) for path in paths}
    parts = [batch(contents.get(path, b""), root / path, checksum) for path, checksum in paths.items()]
    *train, test = parts
    return (
        np.concatenate([images for images, _ in train]),
        np.concatenate([labels for _, labels in train]),
        *test,
    )


def _members(archive: bytes) -> dict[str, bytes]:
    """Return the contents of the archive's regular files by their paths, of each at most `MAX_BYTES`."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as tar:
        found = ((member.name, tar.extractfile(member)) for member in tar if member.isreg())
        return {name: stream.read(MAX_BYTES) for name, stream in found if stream}


def batch(content: bytes, path: Path, checksum: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of the content of one file. path: its name in errors."""
    if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != checksum:
        raise DataError(f"{path}: MD5 of its {len(content)} bytes is {found}, not {checksum}")
    try:
        images, labels = found_in(content)
    except ValueError as error:
        raise DataError(f"{path} isn't a batch of CIFAR-10: {error}") from None
    return images.reshape(-1, *SHAPE), labels


def found_in(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return images, a row of 3,072 bytes each, and labels; `ValueError` if they are missing."""
    labels: list[int] = []
    key, before, fortran, data = "", None, False, b""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("MARK", "MEMOIZE") or "PUT" in operation.name or "APPEND" in operation.name:
            continue
        if isinstance(argument, str):
            if len(argument) > len(data):
                # an array's bytes follow the flag for column-major order
                data, fortran = argument.encode("latin-1"), before in ("NEWTRUE", 1)
            key = argument
        elif isinstance(argument, int) and key == "labels":
            labels.append(argument)
        before = operation.name if argument is None else argument
    size = int(np.prod(SHAPE))
    if not labels or len(labels) * size != len(data):
        raise ValueError(f"{len(labels)} labels and {len(data)} bytes of pixels")
    pixels = np.frombuffer(bytearray(data), np.uint8)
    images = pixels.reshape((size, -1)).T if fortran else pixels.reshape((-1, size))
    return images, np.array(labels, np.int64)
