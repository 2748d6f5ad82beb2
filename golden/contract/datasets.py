"""Names of data sets and the folders of their files; `golden.training.data` reads them."""

import contextlib
import os
from pathlib import Path

from nudge.plumbing.errors import DataError

#: 1,000 training and 500 test digits of MNIST; embedded/README.md describes how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Torchvision's data sets, with the folder of each below the root folder, as torchvision lays them out.
FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}

#: CIFAR-10 as it is published, in the root folder.
ARCHIVE = "cifar-10-python.tar.gz"

NAMES = ("embedded", *FOLDERS)

#: Environment variable with the root folder, which contains MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"


def fetched() -> Path:
    """Return the default root folder of `nudge data get`.

    Raises `DataError` for a user without a home directory.
    """
    try:
        return Path.home() / ".cache" / "nudge" / "data"
    except RuntimeError:
        raise DataError(f"no home directory to keep data sets in: set {VARIABLE} to a folder") from None


def there(name: str, root: Path) -> Path | None:
    """Return the folder or archive of the data set `name` in a root folder; None if it has neither."""
    places = [root / ARCHIVE] * (name == "cifar10") + [root / FOLDERS[name]]
    # not Path.exists, which raises OSError for a path that is too long
    return next((place for place in places if os.access(place, os.F_OK)), None)


def folder_of(given: str | Path | None = None, name: str = "") -> Path | None:
    """Return the root folder: `given`, else NUDGE_DATA from the environment, else None.

    name: of a data set, for which the folder of `nudge data get` is the last choice, if it has this set.
    """
    if asked := given or os.environ.get(VARIABLE):
        return Path(asked)
    with contextlib.suppress(DataError):
        if name and there(name, fetched()):
            return fetched()
    return None
