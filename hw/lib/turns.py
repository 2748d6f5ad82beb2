"""Words whose lanes are processed in several turns, a part in each; word addresses in banked memories."""

from amaranth.hdl import Cat, Const, Signal
from amaranth.lib import data
from amaranth.utils import bits_for


def padded(number, count):
    """``number``, zero-extended to the address width of ``count`` words, so that a bank fits above it."""
    return Cat(number, Const(0, bits_for(count - 1) - len(number)))


def slice_of(word, number, width):
    """Return slice ``number`` of a word: ``width`` of its lanes."""
    if word.shape().length == width:
        return word
    lanes = data.ArrayLayout(word.shape().elem_shape, width)
    return data.View(lanes, word.as_value().word_select(number, lanes.size))


def word_of(m, turns, valid, part, name):
    """The concatenated parts of all turns, valid in the last turn; with one turn, the part itself.

    valid: high while ``part`` is valid. name: the register of the earlier parts is called ``earlier_NAME``.
    """
    if turns == 1:
        return part
    earlier = Signal(len(part) * (turns - 1), name=f"earlier_{name}", reset_less=True)
    with m.If(valid):
        m.d.sync += earlier.eq(Cat(earlier, part)[len(part) :])
    return Cat(earlier, part)
