"""Boxes of an image: sums of four pixels, of which each pooled position and tap takes one.

What *control*, *register* and *result* mean: `datapath`.
"""

from amaranth.hdl import Mux, Signal
from amaranth.utils import exact_log2

from golden.contract.spec import IMAGE_SIDE

from .counters import Counters
from .memory_map import BOX_ROWS, BOX_STRIDE


class Boxes:
    """Pixels column by column, two rows of them; neighbouring columns' sums make a box.

    The image goes by as rows of BOX_STRIDE columns, in the order y, x, counted by `Counters.n`; beside
    it `Counters.weight` counts pixels. What comes of columns beyond the image is never used.
    """

    def __init__(self, m, core, counters: Counters):
        #: Control: the lower pixel of a column is asked for; else the upper one.
        self.lower = Signal()
        #: Result: a cycle of either; nothing else reads the image.
        self.seeing = Signal()
        #: Control: the upper one came, the lower one came; else not.
        self.upper_came = Signal()
        self.lower_came = Signal()
        #: Result: the column counted by `n` is one of the image's; all boxes are done.
        column_bits = exact_log2(BOX_STRIDE)
        self.inside = counters.n[:column_bits] < IMAGE_SIDE
        self.done = counters.n[column_bits:] == BOX_ROWS
        #: Result: the box of the last two columns, when the second one's lower pixel came.
        self.box = Signal(len(core.pixel) + 2)
        upper, last = Signal.like(core.pixel), Signal(len(core.pixel) + 1)
        column = Signal.like(last)
        m.d.comb += [
            self.seeing.eq(self.upper_came | self.lower_came),
            core.pixel_address.eq(counters.weight + Mux(self.lower, IMAGE_SIDE, 0)),
            column.eq(upper + core.pixel),
            self.box.eq(column + last),
        ]
        with m.If(self.upper_came):
            m.d.sync += upper.eq(core.pixel)
        with m.If(self.lower_came):
            m.d.sync += last.eq(column)
