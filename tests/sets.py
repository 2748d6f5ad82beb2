"""Small data sets of noise, as arrays and as MNIST's files."""

from pathlib import Path
from typing import Any

import numpy as np

from nudge.golden.contract.shapes import Input


def noise(shown: Input, train: int = 6, test: int = 3) -> dict[str, Any]:
    """Return an archive's arrays: uint8 images (count, C, H, W), labels (count,), for training and test."""
    random = np.random.default_rng(1)
    made = {}
    for part, count in (("train", train), ("test", test)):
        made[f"{part}_images"] = random.integers(0, 256, (count, *shown.shape), np.uint8)
        made[f"{part}_labels"] = np.arange(count) % shown.classes
    return made


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an array in MNIST's format: magic number with type 8 and rank, big-endian sizes, bytes."""
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.write_bytes(bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes())


def write_set(folder: Path, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Write 12 training and 6 test images in torchvision's layout; return the arrays by file name."""
    folder.mkdir(parents=True)
    arrays = {}
    for part, count in (("train", 12), ("t10k", 6)):
        arrays[f"{part}-images-idx3-ubyte"] = random.integers(0, 256, (count, 28, 28))
        arrays[f"{part}-labels-idx1-ubyte"] = random.integers(0, 10, count)
    for name, array in arrays.items():
        write_idx(folder / name, array)
    return arrays
