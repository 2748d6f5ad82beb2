"""Boxes of an image: sums of 2x2 pixels. Each pooled position and tap uses one box.

*Control*, *register* and *result* are defined in `datapath`.
"""

from amaranth.hdl import Mux, Signal
from amaranth.utils import exact_log2

from nudge.golden.contract.spec import IMAGE_SIDE

from .loop_counters import LoopCounters
from .memory_map import BOX_ROWS, BOX_STRIDE


class Boxes:
    """Reads pairs of pixels (upper, lower) column by column; the sums of two neighbouring columns make a box:
    box[y,x] = pixel[y,x] + pixel[y+1,x] + pixel[y,x+1] + pixel[y+1,x+1].

    The image is processed as rows of BOX_STRIDE columns, in the order y, x, counted by `LoopCounters.n`;
    `LoopCounters.weight` counts pixels. Boxes of columns beyond the image are never used.
    """

    def __init__(self, m, core, counters: LoopCounters):
        #: Control: the lower pixel of a column is addressed; else the upper one.
        self.lower = Signal()
        #: Result: the image is being read; nothing else reads it.
        self.seeing = Signal()
        #: Control: the upper pixel arrives; else not.
        self.upper_came = Signal()
        #: Control: the lower pixel arrives; else not.
        self.lower_came = Signal()
        #: Results: the column counted by `n` lies in the image (`inside`); all boxes are complete (`done`).
        column_bits = exact_log2(BOX_STRIDE)
        self.inside = counters.n[:column_bits] < IMAGE_SIDE
        self.done = counters.n[column_bits:] == BOX_ROWS
        #: Result: the box of the last two columns, in the cycle of `lower_came` of the second one.
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
