"""Images of one's own: a folder of PNG files with a folder for each class, or a NumPy archive."""

import itertools
import os
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from golden.contract.errors import DataError
from golden.contract.shapes import Input
from golden.files import opened

#: Arrays of a data set: training images and labels, test images and labels.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

#: Their names in an archive.
NAMES = ("train_images", "train_labels", "test_images", "test_labels")

#: Of a folder that isn't split into `train` and `test`, each image of a class with a number that this divides is for testing.
TEST_EVERY = 5

#: Bytes of all images together, at most.
MAX_BYTES = 1 << 31

#: Pillow's names for the pixels of grey and of coloured images.
MODES = {1: "L", 3: "RGB"}


def of_file(path: Path) -> Arrays:
    """What an archive holds: arrays called as in `NAMES`, images uint8 (n, h, w) or (n, c, h, w).

    Raises `DataError` for a file that isn't one, and for an array that is missing. Nothing is unpickled.
    """
    try:
        # opened here: numpy leaves what is no archive open
        with opened(path) as stream, np.load(stream, allow_pickle=False) as file:
            missing = [name for name in NAMES if name not in file]
            if missing:
                raise DataError(f"{path} has no {missing[0]}: it must have {', '.join(NAMES)}")
            found = tuple(file[name] for name in NAMES)
    except DataError:
        raise
    except Exception as error:  # numpy has many for what is no archive, or a damaged one
        raise DataError(f"{path} is no .npz file: {error}") from None
    for name, array in zip(NAMES, found, strict=True):
        images = name.endswith("images")
        if images and (array.dtype != np.uint8 or array.ndim not in (3, 4)):
            shapes = "(n, height, width) or (n, channels, height, width)"
            raise DataError(f"{path}: {name} must be uint8 {shapes}, not {said(array)}")
        if not images and (array.dtype.kind not in "iu" or array.ndim != 1):
            raise DataError(f"{path}: {name} must be integers (n,), not {said(array)}")
    for images, labels in (found[:2], found[2:]):
        if len(images) != len(labels):
            raise DataError(f"{path}: {len(images)} images have {len(labels)} labels")
    return found[0], found[1], found[2], found[3]


def said(array: np.ndarray) -> str:
    """Type and shape of an array."""
    return f"{array.dtype} {array.shape}"


def of_folder(folder: Path, shown: Input) -> Arrays:
    """The PNG files of a folder, in a folder for each class.

    Those are in FOLDER/train and FOLDER/test; or in FOLDER, and then each fifth file of a class is for testing. Classes are
    numbered in the order of their names. Images come in turn from each class, in the order of their names, so the first n of
    them have all classes. They are read as grey or in colour, as the network has it, and must have its size.
    """
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        names = sorted({path.name for part in ("train", "test") for path in (folder / part).iterdir() if path.is_dir()})
        train, test = ([files(folder / part / name) for name in names] for part in ("train", "test"))
    else:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        every = [files(folder / name) for name in names]
        test = [found[TEST_EVERY - 1 :: TEST_EVERY] for found in every]
        train = [[path for n, path in enumerate(found, 1) if n % TEST_EVERY] for found in every]
    count = sum(map(len, train + test))
    if not sum(map(len, train)) or not sum(map(len, test)):
        where = "they must be in folders, one for each class"
        raise DataError(f"{folder} has {count} PNG files, too few to train and to test: {where}")
    if count * shown.pixels > MAX_BYTES:
        raise DataError(f"{folder} has {count} images: {count * shown.pixels} bytes of pixels, and {MAX_BYTES} are allowed")
    return *read(train, shown), *read(test, shown)


def files(folder: Path) -> list[Path]:
    """Of a class, in order."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png") if folder.is_dir() else []


def read(classes: list[list[Path]], shown: Input) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the files of each class, in turn."""
    rows = itertools.zip_longest(*([(path, label) for path in found] for label, found in enumerate(classes)))
    order = [item for row in rows for item in row if item is not None]
    images = np.empty((len(order), *shown.shape), np.uint8)
    for image, (path, _) in zip(images, order, strict=True):
        image[:] = pixels(path, shown)
    return images, np.array([label for _, label in order], np.int64)


def pixels(path: Path, shown: Input) -> np.ndarray:
    """One file, (channels, height, width); `DataError` if it is no PNG file or of another size."""
    try:
        with opened(path) as stream, Image.open(stream, formats=("PNG",)) as file:
            file.verify()  # its checksums, which are not looked at when it is decoded
        with opened(path) as stream, Image.open(stream, formats=("PNG",)) as file:
            if (file.height, file.width) != (shown.height, shown.width):
                theirs, wanted = f"{file.height}x{file.width}", f"{shown.height}x{shown.width}"
                raise DataError(f"{path} has {theirs} pixels; the network takes {wanted}")
            found = np.asarray(file.convert(MODES[shown.channels]))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else "it can't be read"
        raise DataError(f"{os.fspath(path)} is no PNG file: {what}") from None
    return found.reshape(shown.height, shown.width, shown.channels).transpose(2, 0, 1)
