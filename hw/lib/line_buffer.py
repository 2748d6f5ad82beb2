"""Line buffer: a raster of words becomes a stream of square windows."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .block_memory import WrittenMemory
from .flow import Flow
from .loops import counting


class LineBuffer(wiring.Component):
    """Keeps the last ``kernel - 1`` rows, so that each word completes a ``kernel`` x ``kernel`` window.

    Planes may follow each other without a pause or a reset: positions are counted, so every plane must be
    streamed whole. Integer model: `golden.model.ops.patches` (`golden.model.ops.convolution` is this and a
    product).

    Parameters
    ----------
    bits : int
        Width of a word; a word may hold several channels of one position.
    height, width : int
        Size of a plane, ``width >= 2``.
    kernel : int
        Side of the window, at most the smaller side of the plane. With 1 each word is a window.

    Members
    -------
    i : In(Flow(bits))
        Raster order, gaps allowed.
    o : Out(Flow(ArrayLayout(bits, kernel * kernel)))
        Window element ``ky * kernel + kx`` is the word ``kernel - 1 - ky`` rows above and ``kernel - 1 - kx``
        columns left of the newest one. Only windows that lie within the plane appear: (height - kernel + 1)
        rows of (width - kernel + 1), in raster order.
    """

    #: Cycles from a word to the window that it completes.
    latency = 1

    def __init__(self, *, bits, height, width, kernel):
        if not 1 <= kernel <= min(height, width):
            raise ValueError(
                f"kernel must be 1..{min(height, width)} for a {height}x{width} plane, not {kernel}"
            )
        self.bits, self.height, self.width, self.kernel = bits, height, width, kernel
        super().__init__({"i": In(Flow(bits)), "o": Out(Flow(data.ArrayLayout(bits, kernel * kernel)))})

    def elaborate(self, platform):
        m = Module()
        bits, k = self.bits, self.kernel
        if k == 1:
            window = Signal(bits, reset_less=True)
            m.d.sync += [self.o.valid.eq(self.i.valid), window.eq(self.i.payload)]
            m.d.comb += self.o.payload.as_value().eq(window)
            return m
        m.submodules.lines = lines = WrittenMemory(shape=bits * (k - 1), depth=self.width)
        read, write = lines.read_port(), lines.write_port()

        x, y = Signal(range(self.width)), Signal(range(self.height))
        next_x = Signal.like(x)
        last_x = x == self.width - 1
        m.d.comb += next_x.eq(Mux(last_x, 0, x + 1))

        # The column above x is read one word ahead, so that it is available when the word comes.
        m.d.comb += read.addr.eq(Mux(self.i.valid, next_x, x))
        column = Cat(read.data, self.i.payload)
        m.d.comb += [write.addr.eq(x), write.data.eq(column[bits:]), write.en.eq(self.i.valid)]

        window = [
            [Signal(bits, name=f"window_{ky}_{kx}", reset_less=True) for kx in range(k)] for ky in range(k)
        ]
        with m.If(self.i.valid):
            m.d.sync += x.eq(next_x)
            with m.If(last_x):
                m.d.sync += y.eq(Mux(y == self.height - 1, 0, y + 1))
            for ky, row in enumerate(window):
                m.d.sync += [row[kx].eq(row[kx + 1]) for kx in range(k - 1)]
                m.d.sync += row[-1].eq(column.word_select(ky, bits))
        m.d.sync += self.o.valid.eq(self.i.valid & (x >= k - 1) & (y >= k - 1))
        m.d.comb += self.o.payload.as_value().eq(Cat(*(element for row in window for element in row)))
        return m


def read_plane(m, lines: LineBuffer, reading, word, beside=(), frame=0):
    """Sends a plane to a line buffer while ``reading`` is high, and clears it at the end; returns the
    position.

    word: the word at the position of the cycle before. beside: statements of the ``sync`` domain, active
    while a word is read. frame: width of the zeros around the words, which are part of the line buffer's
    plane and take a cycle each.
    """
    positions = (lines.height - 2 * frame) * (lines.width - 2 * frame)
    position = Signal(range(positions))
    m.d.sync += lines.i.valid.eq(reading)
    if not frame:
        m.d.comb += lines.i.payload.eq(word)
        with m.If(reading):
            m.d.sync += beside
            with counting(m, position, positions):
                m.d.sync += reading.eq(0)
        return position
    x, y = Signal(range(lines.width)), Signal(range(lines.height))
    inside = framed_word(m, lines, x, y, word, frame)
    with m.If(reading):
        with m.If(inside):
            m.d.sync += beside
            with counting(m, position, positions):
                pass
        with counting(m, x, lines.width), counting(m, y, lines.height):
            m.d.sync += reading.eq(0)
    return position


def framed_word(m, lines: LineBuffer, x, y, word, frame):
    """Sends ``word`` to the line buffer, or 0 if (y, x) was in the frame in the cycle before; returns whether
    (y, x) is inside of it."""
    if not frame:
        m.d.comb += lines.i.payload.eq(word)
        return Const(1)
    rows, columns = lines.height - frame, lines.width - frame
    inside, zero = Signal(), Signal()
    m.d.comb += inside.eq((x >= frame) & (x < columns) & (y >= frame) & (y < rows))
    m.d.sync += zero.eq(~inside)
    m.d.comb += lines.i.payload.eq(Mux(zero, 0, word))
    return inside
