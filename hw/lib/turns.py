"""Words whose lanes are processed in turns, a part in each, and addresses of words in memories with banks."""

from amaranth.hdl import Cat, Const, Signal
from amaranth.utils import bits_for


def padded(number, count):
    """The number of one of `count` words, wide enough to put a bank number above it."""
    return Cat(number, Const(0, bits_for(count - 1) - len(number)))


def word_of(m, turns, valid, part, name):
    """The word that the parts of all turns make, in the last of these: the part itself if there is one turn.

    valid: a part is there. name: of the register that holds the earlier parts.
    """
    if turns == 1:
        return part
    earlier = Signal(len(part) * (turns - 1), name=f"earlier_{name}", reset_less=True)
    with m.If(valid):
        m.d.sync += earlier.eq(Cat(earlier, part)[len(part) :])
    return Cat(earlier, part)
