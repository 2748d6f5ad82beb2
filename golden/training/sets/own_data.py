"""The user's own images: a folder of pictures with a folder for each class, or a NumPy archive."""

import itertools
from pathlib import Path

import numpy as np

from nudge.golden.contract.shapes import Input
from nudge.plumbing.errors import DataError
from nudge.plumbing.files import opened

from . import class_names
from .class_names import Names
from .pictures import endings, pixels

#: Arrays of a data set: training images and labels, test images and labels.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

#: Names of the arrays in an archive, and of the optional array of class names.
CLASSES = "classes"
NAMES = ("train_images", "train_labels", "test_images", "test_labels")

#: In a folder without `train` and `test`, every TEST_EVERY-th image of a class is a test image.
TEST_EVERY = 5

#: Largest size of all images together in bytes.
MAX_BYTES = 1 << 31


def of_file(path: Path) -> tuple[Arrays, Names]:
    """Return the arrays of an archive, called as in `NAMES`, and the names of its classes.

    Images are uint8 (n, h, w) or (n, c, h, w). Raises `DataError` for an invalid file and for a missing
    array. Nothing is unpickled.
    """
    try:
        # opened here: numpy leaves an invalid file open
        with opened(path) as stream, np.load(stream, allow_pickle=False) as file:
            missing = [name for name in NAMES if name not in file]
            if missing:
                raise DataError(f"{path} has no {missing[0]}: it must have {', '.join(NAMES)}")
            found = tuple(file[name] for name in NAMES)
            texts = file[CLASSES] if CLASSES in file else np.zeros(0, "U")
    except DataError:
        raise
    except Exception as error:  # numpy raises many kinds for invalid or damaged archives
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
    if texts.dtype.kind != "U" or texts.ndim != 1:
        raise DataError(f"{path}: {CLASSES} must be texts (n,), not {said(texts)}")
    last = max((int(labels.max()) for labels in found[1::2] if len(labels)), default=0)
    if 0 < len(texts) <= last:
        raise DataError(f"{path}: {CLASSES} has {len(texts)} names, and there is a label {last}")
    return (found[0], found[1], found[2], found[3]), class_names.of(texts.tolist())


def said(array: np.ndarray) -> str:
    """Return type and shape of an array as text."""
    return f"{array.dtype} {array.shape}"


def of_folder(folder: Path, shown: Input) -> tuple[Arrays, Names]:
    """Return the pictures of a folder, which has a folder for each class, and the names of the classes.

    The classes' folders are in FOLDER/train and FOLDER/test, or in FOLDER; then every fifth file of a class
    is a test image. Classes are numbered in the order of their names. Images come in turn from each class, in
    the order of their names, so the first n images include all classes. They are read as grey or in colour,
    as the network needs, and must have its size.
    """
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        names = sorted(
            {path.name for part in ("train", "test") for path in (folder / part).iterdir() if path.is_dir()}
        )
        train, test = ([files(folder / part / name) for name in names] for part in ("train", "test"))
    else:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        every = [files(folder / name) for name in names]
        test = [found[TEST_EVERY - 1 :: TEST_EVERY] for found in every]
        train = [[path for n, path in enumerate(found, 1) if n % TEST_EVERY] for found in every]
    count = sum(map(len, train + test))
    if not sum(map(len, train)) or not sum(map(len, test)):
        where = "they must be in folders, one for each class"
        raise DataError(f"{folder} has {count} pictures, too few to train and to test: {where}")
    if count * shown.pixels > MAX_BYTES:
        raise DataError(
            f"{folder} has {count} images: {count * shown.pixels} bytes of pixels, and {MAX_BYTES} are "
            "allowed"
        )
    return (*read(train, shown), *read(test, shown)), class_names.of(names[: shown.classes])


def files(folder: Path) -> list[Path]:
    """Return the picture files of a class, in order: those with an ending of `endings()`."""
    known = endings()
    return (
        sorted(path for path in folder.iterdir() if path.suffix.lower() in known) if folder.is_dir() else []
    )


def read(classes: list[list[Path]], shown: Input) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of each class's files, taken in turn."""
    rows = itertools.zip_longest(*([(path, label) for path in found] for label, found in enumerate(classes)))
    order = [item for row in rows for item in row if item is not None]
    images = np.empty((len(order), *shown.shape), np.uint8)
    for image, (path, _) in zip(images, order, strict=True):
        image[:] = pixels(path, shown)
    return images, np.array([label for _, label in order], np.int64)
