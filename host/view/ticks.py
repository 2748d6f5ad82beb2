"""Round ticks of logarithmic axes."""

import math
from collections.abc import Sequence

#: Fewest and most round ticks of an axis.
FEWEST, TICKS = 3, 8

#: Mantissas of the round numbers of logarithmic axes: of many ticks to few.
MANTISSAS: tuple[tuple[float, ...], ...] = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1, 3), (1,))


def round_ticks(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return round numbers over the decades of a logarithmic axis of `numbers`.

    They are of the densest of `MANTISSAS` that gives `TICKS` ticks at most. Return () for fewer than `FEWEST`
    ticks: numbers so close need others.
    """
    low, high = min(numbers, default=1.0), max(numbers, default=1.0)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [
        tuple(float(f"{mantissa}e{decade}") for decade in decades for mantissa in each) for each in MANTISSAS
    ]
    inside = [sum(low <= tick <= high for tick in ticks) for ticks in found]
    if inside[0] < FEWEST:
        return ()
    return next((ticks for ticks, count in zip(found, inside, strict=True) if count <= TICKS), found[-1])
