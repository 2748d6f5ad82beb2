"""Pixel engine: the static drive of a first layer that is fully connected to the image."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from golden.contract.config import Config
from golden.contract.formats import rounded_bound, signed_bits
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import delay
from hw.lib.bounds import bounded

from .drive_memory import DriveMemory
from .interface import STATIC_BANKS, StaticSignature


class PixelEngine(wiring.Component):
    """For each post group, every pixel times its weights, added, rounded half up -> static memory.

    Takes one tile of weights in each cycle; the image is read once for each post group.

    Latency: groups(post) * pixels and `latency` cycles more.
    Model: `golden.model.ops.static_drive`.

    Members: those of `StaticSignature`.
    """

    #: Cycles from a pixel's address to its sum in the static memory: pixel, operands, product, sum, written.
    latency = 5

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "pixels":
            raise ValueError(f"PixelEngine takes a pixels bundle, not {bundle.kind}")
        self.config, self.bundle, self.lanes = config, bundle, config.lanes[bundle.index]
        super().__init__(StaticSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        spec, post, pixels = self.config.spec, self.bundle.post, self.bundle.pre.neurons
        groups, bits = self.config.groups(post), post.phi_bits
        m.submodules.static = static = DriveMemory(post, lanes=self.lanes, bits=bits, banks=STATIC_BANKS)
        m.d.comb += [
            static.start.eq(self.replay),
            static.read_bank.eq(self.read_bank),
            static.write_bank.eq(self.write_bank),
        ]
        connect(m, flipped(self.forward), static.o)

        walking, group = Signal(), Signal(range(groups))
        last = self.pixel_address == pixels - 1
        with m.If(walking):
            m.d.sync += [self.pixel_address.eq(self.pixel_address + 1), self.tile_address.eq(self.tile_address + groups)]
            with m.If(last):
                m.d.sync += [self.pixel_address.eq(0), group.eq(group + 1), self.tile_address.eq(group + 1)]
                with m.If(group == groups - 1):
                    m.d.sync += walking.eq(0)
        with m.Elif(~self.busy & self.start):
            m.d.sync += [walking.eq(1), self.pixel_address.eq(0), self.tile_address.eq(0), group.eq(0)]

        # a cycle later pixel and weights are there; operands have registers of their own, as multipliers lie far away
        pixel = delay(m, self.pixel, 1, reset_less=True)
        bound = pixels * ((1 << spec.formats.pixel_bits) - 1) << (spec.formats.weight_bits - 1)
        most = rounded_bound(bound, spec.static_shift)
        sums = data.ArrayLayout(signed(signed_bits(-bound, bound)), self.lanes)
        total, adding = Signal(sums, reset_less=True), delay(m, walking, 3)
        first = delay(m, self.pixel_address == 0, 3, reset_less=True)
        half = 1 << (spec.static_shift - 1)
        for lane in range(self.lanes):
            product = delay(m, pixel * delay(m, self.tile[lane], 1, reset_less=True), 1, reset_less=True)
            with m.If(adding):
                more = Mux(first, 0, total[lane]) + product
                m.d.sync += bounded(total[lane], more, -bound, bound, "all weights and pixels at their end")
            drive = (total[lane] + half) >> spec.static_shift
            m.d.comb += bounded(static.i.payload.drives[0][lane], drive, -most, most, "`Layer.phi_bound` has it")
        m.d.comb += [
            static.i.valid.eq(delay(m, walking & last, 4)),
            static.i.payload.address.eq(delay(m, group, 4, reset_less=True)),
        ]
        trailing = [walking]
        for _ in range(self.latency):
            trailing.append(delay(m, trailing[-1], 1))
        m.d.comb += self.busy.eq(Cat(trailing).any())
        return m
