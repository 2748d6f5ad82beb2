"""Nearest upsampling with zero padding; a convolution of its output transposes convolution and pool."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.flow import Flow


class Upsample(wiring.Component):
    """Sends one pooled plane with each word repeated in 2x2 positions, inside a frame of zeros.

    The frame is ``kernel - 1 - padding`` wide, and wider at the right and bottom where pooling drops an odd
    column or row. A valid convolution of the output with flipped taps is therefore the transposed
    convolution, of the size of layer ``bundle.pre``.

    Integer model: `golden.model.ops.upsample` with the frame around.

    Parameters
    ----------
    bundle : Bundle
        A "conv" bundle: its post layer is upsampled to its convolution map.
    bits : int
        Width of a word.
    words : int
        Words of the memory that is read (several planes).

    Members
    -------
    start : In(1)
        One-cycle pulse; ignored while a plane is sent.
    base : In
        Address of the plane's first word; stable while it is sent.
    address : Out, data : In(bits)
        Synchronous read: ``data`` belongs to the address of the previous cycle.
    o : Out(Flow(bits))
        `rows` x `columns` words in raster order, one a cycle from the second cycle after ``start``.
    """

    def __init__(self, bundle: Bundle, *, bits, words):
        self.bundle, self.bits = bundle, bits
        self.rows = bundle.pre.height + bundle.kernel - 1
        self.columns = bundle.pre.width + bundle.kernel - 1
        super().__init__(
            {
                "start": In(1),
                "base": In(bits_for(words - 1)),
                "address": Out(bits_for(words - 1)),
                "data": In(bits),
                "o": Out(Flow(bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        frame, post = self.bundle.kernel - 1 - self.bundle.padding, self.bundle.post
        x, y = Signal(range(self.columns)), Signal(range(self.rows))
        row = Signal.like(self.address)  # address of the pooled row at y
        column = Signal.like(self.address)
        busy, valid, zero = Signal(), Signal(), Signal()
        inside_x = (x >= frame) & (x < frame + 2 * post.width)
        inside_y = (y >= frame) & (y < frame + 2 * post.height)

        with m.If(busy):
            m.d.sync += x.eq(x + 1)
            with m.If(inside_x & (x[0] != frame % 2)):
                m.d.sync += column.eq(column + 1)
            with m.If(x == self.columns - 1):
                m.d.sync += [x.eq(0), y.eq(y + 1), column.eq(0)]
                with m.If(inside_y & (y[0] != frame % 2)):
                    m.d.sync += row.eq(row + post.width)
                with m.If(y == self.rows - 1):
                    m.d.sync += [y.eq(0), busy.eq(0)]
        with m.Elif(self.start):
            m.d.sync += [busy.eq(1), row.eq(0), column.eq(0)]

        m.d.comb += self.address.eq(self.base + row + column)
        m.d.sync += [valid.eq(busy), zero.eq(~(inside_x & inside_y))]
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(Mux(zero, 0, self.data))]
        return m
