"""What a self test leaves in a memory, of a unit of its own or of one with a chip."""

from hw.memory.interface import ADDRESS_BITS, BURST, WORD_BITS
from hw.memory.self_test import FIRST_LINE

#: Word 0, and each power of two that another access begins with.
PLACES = [0, *(1 << line for line in range(FIRST_LINE, ADDRESS_BITS))]


def check_left(words: dict[int, list[int]]) -> None:
    """`BURST` words at each of `PLACES`: each data line is high alone, or low alone, and no two places look the same."""
    alone = [1 << line for line in range(WORD_BITS)]
    low = [word ^ ((1 << WORD_BITS) - 1) for word in alone]
    for place, found in words.items():
        assert len(found) == BURST == WORD_BITS
        assert sorted(found) in (alone, sorted(low)), f"{found} at {place:#x}"
    assert words.keys() == set(PLACES)
    assert {word for found in words.values() for word in found} == {*alone, *low}
    assert len({tuple(found) for found in words.values()}) == len(PLACES), "two places look the same"
