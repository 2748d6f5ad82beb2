"""Names of classes: the usual ones of the published data sets, and rules for names from outside."""

from collections.abc import Iterable
from typing import Any

from nudge.golden.contract import values
from nudge.golden.contract.shapes import CLASS_COUNTS
from nudge.plumbing.errors import DataError
from nudge.plumbing.progress import plain

#: Names of classes, from class 0 on; classes without a name are called by their numbers.
Names = tuple[str, ...]

DIGITS: Names = tuple("0123456789")

#: Names of the classes of each named data set.
USUAL: dict[str, Names] = {
    "embedded": DIGITS,
    "mnist": DIGITS,
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}

#: Largest length of a name in characters; a longer one is cut.
LONGEST = 40

#: End of a name that was cut.
CUT = "…"


def of(given: Iterable[object]) -> Names:
    """Return names from outside, such as names of folders: at most `LONGEST` printable characters each.

    `DataError` for values that aren't text, and for more names than a network can have classes.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DataError(f"names of classes must be several texts, not {values.said(given)}")
    names: Names = ()
    for each in given:
        if len(names) == CLASS_COUNTS[-1]:
            raise DataError(
                f"there are more than {CLASS_COUNTS[-1]} names of classes, as many as a network can have"
            )
        name = plain(values.plain(str, each, "the name of a class", DataError)[: LONGEST + 1])
        names += (name if len(name) <= LONGEST else name[: LONGEST - len(CUT)] + CUT,)
    return names


def recorded(value: Any) -> Names:
    """Return the names in a weight file; `TypeError` for values that are never written."""
    try:
        if isinstance(value, list | tuple) and of(value) == tuple(value):
            return tuple(value)
    except DataError:
        pass
    raise TypeError(f"classes can't be {values.said(value)}")


def called(names: Names, count: int) -> Names:
    """Return what each of `count` classes is called: its name, or its number."""
    return tuple(names[n] if n < len(names) and names[n].strip() else str(n) for n in range(count))
