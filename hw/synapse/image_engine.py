"""Image engine: the static drive of layer 1, computed once per sample and replayed in each step."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.formats import signed_bits
from golden.contract.shapes import Bundle
from hw.lib.accumulator import Accumulator
from hw.lib.adder_tree import adder_tree, delay, tree_latency
from hw.lib.line_buffer import LineBuffer

from .interface import drive, tile
from .kernel_loader import KernelLoader


class ImageEngine(wiring.Component):
    """Pixels -> line buffer -> 2x2 sums -> multiplied and added -> round half up -> static memory.

    The average pool comes first: the four convolution values under a pooled position have the same weights, so their pixels
    can be added before they are multiplied, which leaves a quarter of the products. `Config.image_taps` products of each
    lane are made in a cycle, so a pooled position takes ``n = ceil(k*k / image_taps)`` cycles; pixels wait for it if n > 2.

    The image is read once for each post group: groups(post) * (k*k + pixels + max(n - 2, 0) * pooled positions + n + about
    ten) cycles a sample. Model: `golden.model.ops.static_drive`.

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
        at_once = min(config.image_taps, taps)
        rounds = -(-taps // at_once)

        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.submodules.lines = lines = LineBuffer(bits=spec.formats.pixel_bits, height=pre.height, width=pre.width, kernel=k + 1)
        m.submodules.static = static = Accumulator(
            words=config.words(post), lanes=lanes, bits=post.phi_bits, value_bits=post.phi_bits
        )
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]
        connect(m, flipped(self.forward), static.o)

        # -- pixels in raster order; after one that completes the window of a pooled position, a pause
        reading, pause = Signal(), Signal(range(max(rounds, 2)))
        x, y = Signal(range(pre.width)), Signal(range(pre.height))
        read, completes = Signal(), Signal()
        m.d.comb += read.eq(reading & (pause == 0))
        m.d.comb += completes.eq(read & (x >= k) & (x[0] == k % 2) & (y >= k) & (y[0] == k % 2))
        m.d.comb += lines.i.payload.eq(self.pixel)
        m.d.sync += lines.i.valid.eq(read)
        with m.If(read):
            m.d.sync += [self.pixel_address.eq(self.pixel_address + 1), x.eq(x + 1)]
            with m.If(x == pre.width - 1):
                m.d.sync += [x.eq(0), y.eq(y + 1)]
                with m.If(y == pre.height - 1):
                    m.d.sync += [y.eq(0), reading.eq(0), self.pixel_address.eq(0)]
        with m.If(completes):
            m.d.sync += pause.eq(max(rounds - 2, 0))
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)

        # -- 2x2 sums of its window, which then pass by the multipliers
        box = unsigned(spec.formats.pixel_bits + 2)
        boxes = [Signal(box, name=f"box_{n}", reset_less=True) for n in range(rounds * at_once)]
        loaded, left = delay(m, completes, 1 + lines.latency), Signal(range(rounds + 1))
        window = lines.o.payload
        with m.If(loaded):
            m.d.sync += left.eq(rounds)
            for n in range(taps):
                corner = n // k * (k + 1) + n % k
                m.d.sync += boxes[n].eq(
                    (window[corner] + window[corner + 1]) + (window[corner + k + 1] + window[corner + k + 2])
                )
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
            m.d.sync += [boxes[n].eq(boxes[n + at_once]) for n in range(len(boxes) - at_once)]

        # -- products of some taps, their sum, and the sum over the rounds
        weights = kernel.kernel(lanes, 1, lambda o, i, tap: (tap, i, o))
        weight = data.ArrayLayout(signed(spec.formats.weight_bits), lanes * at_once)
        chosen = Signal(weight)
        for number in range(rounds):
            with m.If(left == rounds - number):
                for lane in range(lanes):
                    for n in range(number * at_once, min((number + 1) * at_once, taps)):
                        m.d.comb += chosen[lane * at_once + n % at_once].eq(weights[lane * taps + n])
        bound = taps * (4 * ((1 << spec.formats.pixel_bits) - 1)) << (spec.formats.weight_bits - 1)
        sums = data.ArrayLayout(signed(signed_bits(-bound, bound)), lanes)
        # operands have registers of their own: multipliers lie in a few rows, far from most of the logic
        latency = 2 + tree_latency(at_once)
        total, adding = Signal(sums, reset_less=True), delay(m, left != 0, latency)
        first, last = delay(m, left == rounds, latency), delay(m, left == 1, latency)
        half = 1 << (spec.static_shift - 1)
        factors = [delay(m, boxes[n], 1, reset_less=True) for n in range(at_once)]
        for lane in range(lanes):
            weight_of = [delay(m, chosen[lane * at_once + n], 1, reset_less=True) for n in range(at_once)]
            products = [delay(m, factors[n] * weight_of[n], 1, reset_less=True) for n in range(at_once)]
            term = adder_tree(m, products)
            with m.If(adding):
                m.d.sync += total[lane].eq(Mux(first, 0, total[lane]) + term)
            m.d.comb += static.i.payload[lane].eq((total[lane] + half) >> spec.static_shift)
        m.d.comb += [static.i.valid.eq(delay(m, last, 1)), static.first.eq(1), static.drain.eq(self.replay)]

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
