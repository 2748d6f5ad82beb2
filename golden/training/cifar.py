"""CIFAR-10 from the files that torchvision leaves in `cifar-10-batches-py`.

They are pickles, which may do anything when they are read. So only files with the published checksum are read, and by an
unpickler that knows what is in those, arrays and bytes, and nothing else.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from golden.contract.errors import DataError

FOLDER = "cifar-10-batches-py"

#: MD5 of each file, as torchvision has them; there is no better one published.
CHECKSUMS = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

#: Of an image.
SHAPE = (3, 32, 32)

#: Bytes of a file at most; they have 31 million.
MAX_BYTES = 1 << 26

#: What a pickled array is made with, by its name in the pickle.
KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): np.ndarray(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.ndarray(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class Arrays(pickle.Unpickler):
    """Reads arrays, and what Python has by itself."""

    def find_class(self, module: str, name: str) -> Any:
        """What `KNOWN` has, else an error."""
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it has a {module}.{name}")
        return KNOWN[module, name]


def load(root: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images (50,000, 3, 32, 32) and labels, test images and labels.

    Raises `DataError` for a file that is missing or not the published one.
    """
    parts = [batch(root / FOLDER / name, checksum) for name, checksum in CHECKSUMS.items()]
    *train, test = parts
    return np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train]), *test


def batch(path: Path, checksum: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one file."""
    try:
        if not path.is_file() or (size := path.stat().st_size) > MAX_BYTES:
            raise DataError(f"cifar10 not readable: no file {path} of at most {MAX_BYTES} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cifar10 not readable: {path}: {error.strerror}") from None
    if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != checksum:
        raise DataError(f"{path}: MD5 of its {size} bytes is {found}, not {checksum}: fetch CIFAR10 again")
    try:
        values = Arrays(io.BytesIO(content), encoding="bytes").load()
        images, labels = np.asarray(values[b"data"], np.uint8), np.asarray(values[b"labels"], np.int64)
        return images.reshape(-1, *SHAPE), labels
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError) as error:
        raise DataError(f"{path} isn't a batch of CIFAR-10: {error}") from None
