"""Pixel engine: the static drive of a first layer that is fully connected to the image."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import data_delay, delay, lasting

from .interface import StaticSignature
from .static_drives import StaticSums, static_memory


class PixelEngine(wiring.Component):
    """drive[o] = rhu(sum over i of w[o,i] pixel[i], `Spec.static_shift`), for one post group after another.

    Processes one tile of weights in each cycle; the image is read once for each post group.

    Latency: groups(post) * pixels + `latency` cycles.
    Integer model: `golden.model.ops.static_drive`.

    Members: those of `StaticSignature`.
    """

    #: Cycles from a pixel's address to its sum in the static memory: pixel, operands, product, sum, write.
    latency = 5

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "pixels":
            raise ValueError(f"PixelEngine takes a pixels bundle, not {bundle.kind}")
        self.config, self.bundle, self.lanes = config, bundle, config.lanes[bundle.index]
        super().__init__(StaticSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        pixels, groups = self.bundle.pre.neurons, self.config.groups(self.bundle.post)
        static = static_memory(m, self)
        connect(m, flipped(self.forward), static.o)

        walking, group = Signal(), Signal(range(groups))
        last = self.pixel_address == pixels - 1
        with m.If(walking):
            m.d.sync += [
                self.pixel_address.eq(self.pixel_address + 1),
                self.tile_address.eq(self.tile_address + groups),
            ]
            with m.If(last):
                m.d.sync += [self.pixel_address.eq(0), group.eq(group + 1), self.tile_address.eq(group + 1)]
                with m.If(group == groups - 1):
                    m.d.sync += walking.eq(0)
        with m.Elif(~self.busy & self.start):
            m.d.sync += [walking.eq(1), self.pixel_address.eq(0), self.tile_address.eq(0), group.eq(0)]

        # Pixel and weights arrive one cycle after their addresses. Operands have their own registers, because
        # multipliers lie far from most logic.
        pixel = data_delay(m, self.pixel)
        sums, adding = StaticSums(self, pixels), delay(m, walking, 3)
        first = data_delay(m, self.pixel_address == 0, 3)
        for lane, drive in enumerate(static.i.payload.drives[0]):
            product = data_delay(m, pixel * data_delay(m, self.tile[lane]))
            sums.add(m, lane, adding, Mux(first, 0, sums.total[lane]), product, drive)
        m.d.comb += [
            static.i.valid.eq(delay(m, walking & last, 4)),
            static.i.payload.address.eq(data_delay(m, group, 4)),
        ]
        m.d.comb += self.busy.eq(lasting(m, walking, self.latency))
        return m
