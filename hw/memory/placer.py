"""Addresses of the pixels of a moved and mirrored image."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.spec import IMAGE_SIDE
from nudge.hw.lib.flow import Flow

from .interface import MOVE_BITS, PIXEL_ADDRESS, Move


class Placer(wiring.Component):
    """Computes the address of each pixel of an image in the moved image, as `golden.contract.stored.Asked`
    defines it.

    Integer model: `golden.model.image_store.moved`.

    Rows and columns wrap: a pixel that leaves the image becomes a zero that enters at the opposite side. So
    every address is written exactly once, and the buffer needn't be cleared.

    Latency: 1 cycle.

    Members
    -------
    start : In(1)
        Strobe before an image, which is moved by ``move``.
    move : In(Move)
        Stable until the last pixel.
    pixel : In(Flow(8))
        Pixels in raster order.
    valid : Out(1), address : Out(range(784)), value : Out(8)
    """

    def __init__(self):
        outputs = {"valid": Out(1), "address": Out(PIXEL_ADDRESS), "value": Out(8)}
        super().__init__({"start": In(1), "move": In(Move), "pixel": In(Flow(8))} | outputs)

    def elaborate(self, platform):
        m = Module()
        last = IMAGE_SIDE - 1
        inside: dict[str, Signal] = {}
        place: dict[str, Signal] = {}
        ended: dict[str, Signal] = {}
        for name in ("x", "y"):
            delta = getattr(self.move, f"d{name}")
            # coordinates of the pixel before and after the move
            at, to = (
                Signal(range(IMAGE_SIDE), name=f"from_{name}"),
                Signal(range(IMAGE_SIDE), name=f"to_{name}"),
            )
            moved = Signal(range(-(1 << MOVE_BITS), IMAGE_SIDE + (1 << MOVE_BITS)), name=f"moved_{name}")
            within, end, step = (
                Signal(name=f"within_{name}"),
                Signal(name=f"end_{name}"),
                Signal(name=f"step_{name}"),
            )
            m.d.comb += [moved.eq(at + delta), within.eq((moved >= 0) & (moved <= last)), end.eq(at == last)]
            m.d.comb += step.eq(self.pixel.valid & (1 if name == "x" else ended["x"]))
            with m.If(step):
                m.d.sync += [at.eq(Mux(end, 0, at + 1)), to.eq(Mux(to == last, 0, to + 1))]
            with m.If(self.start):
                m.d.sync += [at.eq(0), to.eq(Mux(delta < 0, IMAGE_SIDE + delta, delta))]
            inside[name], place[name], ended[name] = within, to, end
        column = Signal(range(IMAGE_SIDE))
        m.d.comb += column.eq(Mux(self.move.mirrored, last - place["x"], place["x"]))
        m.d.sync += [
            self.valid.eq(self.pixel.valid),
            # 28 is 32 - 4
            self.address.eq((place["y"] << 5) - (place["y"] << 2) + column),
            self.value.eq(Mux(inside["x"] & inside["y"], self.pixel.payload, 0)),
        ]
        assert IMAGE_SIDE == 32 - 4
        return m
