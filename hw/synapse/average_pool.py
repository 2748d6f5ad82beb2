"""2x2 average pooling of a raster, as a sum of four; the factor 1/4 is in the LSB (two binary places)."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from nudge.hw.lib.block_memory import WrittenMemory
from nudge.hw.lib.flow import Flow


class AveragePool(wiring.Component):
    """Sums non-overlapping 2x2 squares; an odd last row or column is dropped:
    out[y,x] = in[2y,2x] + in[2y,2x+1] + in[2y+1,2x] + in[2y+1,2x+1].

    Latency: `latency`.
    Integer model: `golden.model.ops.average_pool`.

    Parameters
    ----------
    lanes, bits : int
        Number of signed values in a word, and the width of each.
    height, width : int
        Size of the unpooled map, each at least 2.

    Members
    -------
    i : In(Flow(ArrayLayout(signed(bits), lanes)))
        Whole maps in raster order, one after another; gaps are allowed.
    o : Out(Flow(ArrayLayout(signed(bits + 2), lanes)))
        (height // 2) x (width // 2) sums in raster order. As an average, the LSB is a quarter of the input's.
    """

    #: Cycles from the fourth value of a square to its sum.
    latency = 1

    def __init__(self, *, lanes, bits, height, width):
        if height < 2 or width < 2:
            raise ValueError(f"a map to pool must be at least 2x2, not {height}x{width}")
        self.lanes, self.bits, self.height, self.width = lanes, bits, height, width
        super().__init__(
            {
                "i": In(Flow(data.ArrayLayout(signed(bits), lanes))),
                "o": Out(Flow(data.ArrayLayout(signed(bits + 2), lanes))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pair = data.ArrayLayout(signed(self.bits + 1), self.lanes)
        m.submodules.row = row = WrittenMemory(shape=pair, depth=self.width // 2)
        read, write = row.read_port(), row.write_port()

        x, y = Signal(range(self.width)), Signal(range(self.height))
        inside = (x < self.width // 2 * 2) & (y < self.height // 2 * 2)
        left = Signal(self.i.payload.shape(), reset_less=True)
        with m.If(self.i.valid):
            m.d.sync += left.eq(self.i.payload)
            m.d.sync += x.eq(Mux(x == self.width - 1, 0, x + 1))
            with m.If(x == self.width - 1):
                m.d.sync += y.eq(Mux(y == self.height - 1, 0, y + 1))

        # x is on an odd column for at least one cycle after the even one, so the upper pair is read in time.
        m.d.comb += [read.addr.eq(x >> 1), write.addr.eq(x >> 1)]
        m.d.comb += write.en.eq(self.i.valid & x[0] & ~y[0] & inside)
        m.d.sync += self.o.valid.eq(self.i.valid & x[0] & y[0] & inside)
        for lane in range(self.lanes):
            m.d.comb += write.data[lane].eq(left[lane] + self.i.payload[lane])
            m.d.sync += self.o.payload[lane].eq(read.data[lane] + write.data[lane])
        return m
