"""The first of many integers that differs from its expected value, and the number that differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    # torch takes longer to import than most benches of the link run
    from .parameters import Parameters

#: A name, the actual array of integers, and the expected one. The actual array may be flat.
Part = tuple[str, Any, Any]


@dataclass(frozen=True)
class Difference:
    """The first difference of several parts, and the number of differences in all of them."""

    name: str  #: name of the part
    index: tuple[int, ...]  #: index in the part's array
    flat: int  #: flat index in the part's array
    found: int
    wanted: int
    differing: int  #: number of values that differ, in all parts
    size: int  #: number of values compared, in all parts

    def __str__(self) -> str:
        return self.text("got", "expected")

    def text(self, found: str, wanted: str, axes: Sequence[str] = ()) -> str:
        """Return the difference as one line.

        found, wanted: words before the actual and the expected value. axes: names of the array's axes
        [default: numbers alone].
        """
        if axes:
            place = "".join(f", {axis} {at}" for axis, at in zip(axes, self.index, strict=False))
        else:
            place = f" {self.flat}" if self.index else ""
            place += f" [{', '.join(map(str, self.index))}]" if len(self.index) > 1 else ""
        values = f"{found} {self.found}, {wanted} {self.wanted}"
        return f"{self.name}{place}: {values} ({self.differing} of {self.size} values differ)"


def first_difference(parts: Iterable[Part]) -> Difference | None:
    """Return the first difference over all parts in their order; None if all are equal."""
    first: Difference | None = None
    differing = size = 0
    for name, found, wanted in parts:
        wanted = np.asarray(wanted)
        found = np.asarray(found).reshape(wanted.shape)
        size += wanted.size
        at = np.argwhere(found != wanted)
        if len(at) and first is None:
            index = tuple(at[0].tolist())
            flat = int(np.ravel_multi_index(index, wanted.shape)) if index else 0
            first = Difference(name, index, flat, int(found[index]), int(wanted[index]), 0, 0)
        differing += len(at)
    if first is None:
        return None
    return Difference(first.name, first.index, first.flat, first.found, first.wanted, differing, size)


def master_parts(found: "Parameters", wanted: "Parameters") -> list[Part]:
    """Return all weights, biases and means as parts, bundle by bundle."""
    parts: list[Part] = []
    for index in range(len(wanted.weights)):
        for kind, ours, theirs in zip(("weight", "bias", "mean"), found, wanted, strict=True):
            if theirs:
                parts.append((f"bundle {index + 1} {kind}", ours[index].numpy(), theirs[index].numpy()))
    return parts


def first_master(found: "Parameters", wanted: "Parameters") -> Difference | None:
    """Return the first weight, bias or running mean that differs; None if all are equal."""
    return first_difference(master_parts(found, wanted))
