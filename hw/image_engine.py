"""Image engine: the static drive of layer 1, computed once per sample and replayed in each step."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from golden.spec import Bundle

from . import layout
from .accumulator import Accumulator
from .average_pool import AveragePool
from .config import Config
from .convolution import Convolution
from .kernel_loader import KernelLoader
from .line_buffer import LineBuffer
from .synapse import drive, tile


class ImageEngine(wiring.Component):
    """Pixels -> line buffer -> convolution -> average pool -> round half up -> static memory.

    The image is read once for each post group: groups(post) * (k*k + pixels + about ten) cycles a sample.
    Model: `golden.ops.static_drive`.

    Members
    -------
    start : In(1)
        One cycle; ignored while busy.
    busy : Out(1)
    pixel_address : Out, pixel : In
        Synchronous read of the image.
    tile_address : Out, tile : In
        Synchronous read of the working memory.
    replay : In(1)
        One cycle, while not busy: sends the drives of all words once, in order, through ``forward``.
    forward : Out(stream.Signature(drive(post)))
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "image":
            raise ValueError(f"ImageEngine takes an image bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "pixel_address": Out(bits_for(bundle.pre.positions - 1)),
                "pixel": In(config.spec.formats.pixel_bits),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "replay": In(1),
                "forward": Out(stream.Signature(drive(config, bundle.post))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle, spec = self.config, self.bundle, self.config.spec
        pre, post, k = bundle.pre, bundle.post, bundle.kernel
        lanes, groups, taps = config.lanes[post.index], config.groups(post), k * k

        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.submodules.lines = lines = LineBuffer(
            bits=spec.formats.pixel_bits, height=pre.height, width=pre.width, kernel=k
        )
        m.submodules.conv = conv = Convolution(
            inputs=1, outputs=lanes, taps=taps, weight_bits=spec.formats.weight_bits, sample_bits=spec.formats.pixel_bits
        )
        m.submodules.pool = pool = AveragePool(
            lanes=lanes, bits=conv.output_bits, height=bundle.map_height, width=bundle.map_width
        )
        m.submodules.static = static = Accumulator(
            words=config.words(post), lanes=lanes, bits=post.phi_bits, value_bits=post.phi_bits
        )
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]
        connect(m, lines.o, conv.i)
        connect(m, conv.o, pool.i)
        connect(m, flipped(self.forward), static.o)
        weights = kernel.kernel(lanes, 1, lambda o, i, tap: (tap, i, o))
        m.d.comb += [conv.weights[n].eq(weight) for n, weight in enumerate(weights)]

        half = 1 << (spec.static_shift - 1)
        for lane in range(lanes):
            m.d.comb += static.i.payload[lane].eq((pool.o.payload[lane] + half) >> spec.static_shift)
        m.d.comb += [static.i.valid.eq(pool.o.valid), static.first.eq(1), static.drain.eq(self.replay)]

        reading = Signal()
        m.d.comb += lines.i.payload.eq(self.pixel)
        m.d.sync += lines.i.valid.eq(reading)
        with m.If(reading):
            m.d.sync += self.pixel_address.eq(self.pixel_address + 1)
            with m.If(self.pixel_address == pre.positions - 1):
                m.d.sync += [reading.eq(0), self.pixel_address.eq(0)]

        group, done = Signal(range(groups)), Signal(range(post.positions + 1))
        with m.If(static.i.valid):
            m.d.sync += [static.address.eq(static.address + 1), done.eq(done + 1)]

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [group.eq(0), static.address.eq(0), kernel.base.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += kernel.start.eq(1)
                m.d.sync += done.eq(0)
                m.next = "LOADING"
            with m.State("LOADING"):
                with m.If(~kernel.busy):
                    m.d.sync += reading.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If((done == post.positions) & ~reading):
                    m.d.sync += [kernel.base.eq(kernel.base + taps), group.eq(group + 1)]
                    m.next = "LOAD"
                    with m.If(group == groups - 1):
                        m.next = "SETTLE"
            with m.State("SETTLE"):
                m.next = "IDLE"
        return m
