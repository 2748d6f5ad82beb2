"""EP update engine of a convolution with pooling, on window sums or on the image."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.adder_tree import delay
from hw.lib.block_memory import BlockMemory
from hw.lib.line_buffer import LineBuffer

from .correlator import Correlator, last_cycle, pre_bits
from .interface import UpdateSignature


class ConvUpdate(wiring.Component):
    """``lanes`` weights side by side, one pooled position in each cycle, or in every other one.

    Upsampling gives the four positions under a pooled one the same post value, so their pre values can be added first:
    for each pre group, 2x2 sums of the pre plane go into a memory (a `LineBuffer` and an adder); then, for each post
    group, tap and pre lane, the pooled positions are correlated at stride two. The biases come last. Of the image, the sums
    are made by ``load``.

    Busy (of bundle 1: loading, then busy) for (pre positions + c * groups(post) * k*k * pre lanes * pooled positions) cycles
    and about five more for each pre group, then c * words(post), the correlator's latency and a few more for the biases; c
    is `Config.item_cycles`.
    Model: `golden.model.ops.correlation` (paper eq. 11 with alpha = 4, the 1/4 in the LSB).
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind == "dense":
            raise ValueError("ConvUpdate takes a conv or an image bundle, not dense")
        self.config, self.bundle = config, bundle
        super().__init__(UpdateSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post, k = bundle.pre, bundle.post, bundle.kernel
        lanes = config.lanes[pre.index]
        pre_groups, post_groups = config.groups(pre), config.groups(post)

        m.submodules.correlator = correlator = Correlator(config, bundle)
        m.d.comb += [correlator.weight_rate.eq(self.weight_rate), correlator.bias_rate.eq(self.bias_rate)]
        connect(m, flipped(self.updates), correlator.o)

        # -- boxes: sums over 2x2 of the pre plane of one group. Pixels are the same in both phases: kept once.
        value = self.pre.as_value()
        values = 1 if bundle.kind == "image" else 2 * lanes
        bits = len(value) // values
        box = data.ArrayLayout(pre_bits(config, bundle), values)
        columns, depth = pre.width - 1, (pre.height - 1) * (pre.width - 1)
        m.submodules.lines = lines = LineBuffer(bits=len(value), height=pre.height, width=pre.width, kernel=2)
        m.submodules.boxes = boxes = BlockMemory(shape=box, depth=depth)
        box_read, box_write = boxes.read_port(), boxes.write_port()
        boxed = Signal(range(depth + 1))
        m.d.comb += [box_write.addr.eq(boxed), box_write.en.eq(delay(m, lines.o.valid, 1))]
        for n in range(values):
            corners = [lines.o.payload[corner].word_select(n, bits) for corner in range(4)]
            rows = [delay(m, corners[row] + corners[row + 1], 1, reset_less=True) for row in (0, 2)]
            m.d.comb += box_write.data[n].eq(rows[0] + rows[1])
        with m.If(box_write.en):
            m.d.sync += boxed.eq(boxed + 1)

        reading = Signal()
        m.d.comb += lines.i.payload.eq(value)
        m.d.sync += lines.i.valid.eq(reading)
        position = Signal(range(pre.positions))
        with m.If(reading):
            m.d.sync += [self.pre_address.eq(self.pre_address + 1), position.eq(position + 1)]
            with m.If(position == pre.positions - 1):
                m.d.sync += [reading.eq(0), position.eq(0)]

        # -- loops: post group, ky, kx, pre lane, pooled row, pooled column
        active, bias = Signal(), Signal()
        advance = last_cycle(m, config, bundle, active)
        post_group, pre_group = Signal(range(post_groups)), Signal(range(pre_groups))
        ky, kx, lane = Signal(range(k)), Signal(range(k)), Signal(range(lanes))
        py, px = Signal(range(post.height)), Signal(range(post.width))
        first, last = (py == 0) & (px == 0), (py == post.height - 1) & (px == post.width - 1)
        tap_row, box_row = Signal(range(depth)), Signal(range(depth + 2 * columns))  # addresses of rows ky, 2 py + ky
        post_base = Signal(range(config.words(post)))
        address = Signal(range(layout.master_words(config, bundle)))
        tile_words = k * k * lanes
        m.d.comb += box_read.addr.eq(box_row + (px << 1) + kx)

        with m.If(advance):
            m.d.sync += [px.eq(px + 1), self.post_address.eq(self.post_address + 1)]
            with m.If(px == post.width - 1):
                m.d.sync += [px.eq(0), py.eq(py + 1), box_row.eq(box_row + 2 * columns)]
            with m.If(last):
                # The next weight, or bias, starts at the first pooled position again.
                m.d.sync += [py.eq(0), self.post_address.eq(post_base), box_row.eq(tap_row), address.eq(address + 1)]
                m.d.sync += lane.eq(lane + 1)
                with m.If((lane == lanes - 1) & ~bias):
                    m.d.sync += [lane.eq(0), kx.eq(kx + 1)]
                    with m.If(kx == k - 1):
                        m.d.sync += [kx.eq(0), ky.eq(ky + 1)]
                        m.d.sync += [tap_row.eq(tap_row + columns), box_row.eq(tap_row + columns)]
                with m.If(bias | ((lane == lanes - 1) & (kx == k - 1) & (ky == k - 1))):
                    m.d.sync += [lane.eq(0), ky.eq(0), tap_row.eq(0), box_row.eq(0), post_group.eq(post_group + 1)]
                    m.d.sync += [post_base.eq(post_base + post.positions), self.post_address.eq(post_base + post.positions)]
                    with m.If(~bias):
                        m.d.sync += address.eq(address + 1 + (pre_groups - 1) * tile_words)
                    with m.If(post_group == post_groups - 1):
                        m.d.sync += active.eq(0)

        # -- a cycle later the sums are there
        i, lane1 = correlator.i.payload, delay(m, lane, 1)
        plus_at, minus_at = (0, 0) if bundle.kind == "image" else (lane1, lane1 + lanes)
        m.d.comb += [
            correlator.i.valid.eq(delay(m, active, 1)),
            i.address.eq(delay(m, address, 1)),
            i.bias.eq(delay(m, bias, 1)),
            i.first.eq(delay(m, first, 1)),
            i.last.eq(delay(m, last, 1)),
            i.pre_plus.eq(box_read.data[plus_at]),
            i.pre_minus.eq(box_read.data[minus_at]),
            i.post_plus.eq(self.post.plus),
            i.post_minus.eq(self.post.minus),
        ]

        image = bundle.kind == "image"
        begin = [post_group.eq(0), post_base.eq(0), self.post_address.eq(0), px.eq(0), py.eq(0), active.eq(1)]
        drained = Signal(range(2 + correlator.latency))

        def begin_weights():
            m.d.sync += begin
            m.d.sync += [address.eq(pre_group * tile_words), ky.eq(0), kx.eq(0), lane.eq(0), tap_row.eq(0), box_row.eq(0)]
            m.next = "WEIGHTS"

        if image:
            with m.If(self.load):
                m.d.sync += self.loading.eq(1)
        with m.FSM() as fsm:
            working = ~fsm.ongoing("IDLE")
            m.d.comb += self.busy.eq(working & ~(fsm.ongoing("BOX") | fsm.ongoing("BOXING")) if image else working)
            with m.State("IDLE"):
                m.d.sync += [self.pre_address.eq(0), pre_group.eq(0), bias.eq(0)]
                if image:
                    with m.If(self.loading):
                        m.next = "BOX"
                    with m.If(self.start):
                        begin_weights()
                else:
                    with m.If(self.start):
                        m.next = "BOX"
            with m.State("BOX"):
                m.d.sync += [reading.eq(1), boxed.eq(0)]
                m.next = "BOXING"
            with m.State("BOXING"):
                with m.If((boxed == depth) & ~reading):
                    if image:
                        m.d.sync += self.loading.eq(self.load)
                        m.next = "IDLE"
                    else:
                        begin_weights()
            with m.State("WEIGHTS"):
                with m.If(~active):
                    m.d.sync += pre_group.eq(pre_group + 1)
                    m.next = "BOX"
                    with m.If(pre_group == pre_groups - 1):
                        m.d.sync += begin
                        m.d.sync += [bias.eq(1), address.eq(layout.weight_words(config, bundle))]
                        m.next = "BIASES"
            with m.State("BIASES"):
                with m.If(~active):
                    m.d.sync += drained.eq(0)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += drained.eq(drained + 1)
                with m.If(drained == correlator.latency + 1):
                    m.next = "IDLE"
        return m
