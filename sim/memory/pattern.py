"""The pattern that a self test leaves in a memory, for benches without and with a chip."""

from nudge.hw.memory.interface import ADDRESS_BITS, BURST, WORD_BITS
from nudge.hw.memory.self_test import FIRST_LINE

#: Addresses of the pattern: word 0, and each power of two from 2^FIRST_LINE on.
PLACES = [0, *(1 << line for line in range(FIRST_LINE, ADDRESS_BITS))]


def check_left(words: dict[int, list[int]]) -> None:
    """Check `BURST` words at each of `PLACES`: at a place they have each data line high alone, or each
    low alone, and no two places have the same words in the same order."""
    alone = [1 << line for line in range(WORD_BITS)]
    low = [word ^ ((1 << WORD_BITS) - 1) for word in alone]
    for place, found in words.items():
        assert len(found) == BURST == WORD_BITS
        assert sorted(found) in (alone, sorted(low)), f"{found} at {place:#x}"
    assert words.keys() == set(PLACES)
    assert {word for found in words.values() for word in found} == {*alone, *low}
    assert len({tuple(found) for found in words.values()}) == len(PLACES), "two places look the same"
