"""What classes are called: the usual names of the published data sets, and which names there may be."""

from collections.abc import Iterable
from typing import Any

from golden.contract import values
from golden.contract.shapes import CLASS_COUNTS
from plumbing.errors import DataError
from plumbing.progress import plain

#: Names of classes, from class 0 on; classes beyond them are called by their numbers.
Names = tuple[str, ...]

DIGITS: Names = tuple("0123456789")

#: Of the data sets that have a name.
USUAL: dict[str, Names] = {
    "embedded": DIGITS,
    "mnist": DIGITS,
    "fashion-mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip

#: Characters of a name at most; of a longer one the first ones are kept.
LONGEST = 40

#: What stands at the end of a name that was longer.
CUT = "…"


def of(given: Iterable[object]) -> Names:
    """Names from outside, such as those of folders, as they are kept: short, and nothing in them that isn't printed.

    `DataError` for what is no text, and for more names than a network can have classes.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DataError(f"names of classes must be several texts, not {values.said(given)}")
    names: Names = ()
    for each in given:
        if len(names) == CLASS_COUNTS[-1]:
            raise DataError(f"there are more than {CLASS_COUNTS[-1]} names of classes, as many as a network can have")
        name = plain(values.plain(str, each, "the name of a class", DataError)[: LONGEST + 1])
        names += (name if len(name) <= LONGEST else name[: LONGEST - len(CUT)] + CUT,)
    return names


def recorded(value: Any) -> Names:
    """The names that a weight file has; TypeError for what none is written with."""
    try:
        if isinstance(value, list | tuple) and of(value) == tuple(value):
            return tuple(value)
    except DataError:
        pass
    raise TypeError(f"classes can't be {values.said(value)}")


def called(names: Names, count: int) -> Names:
    """What each of `count` classes is called: its name, or its number."""
    return tuple(names[n] if n < len(names) and names[n].strip() else str(n) for n in range(count))
