"""Folded kernels: convolution and average pool as one (k+1) x (k+1) kernel of stride 2, made once per commit."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.flow import Flow

from .event_layout import (
    BACKWARD_CHANNELS,
    FORWARD_CHANNELS,
    KERNEL,
    PAIR,
    SIDE,
    SPOTS,
    backward_word,
    banks,
    forward_word,
    weight_bits,
)
from .interface import tile


def divided(channel, channels: int, units: int):
    """Quotient and remainder of a signal below `channels`, looked up."""
    parts = zip(*(divmod(n, units) for n in range(channels)), strict=True)
    return tuple(Array(Const(n, bits_for(max(column))) for n in column)[channel] for column in map(tuple, parts))


class FoldedKernels(wiring.Component):
    """Reads the working memory and writes folded weights, tap after tap, to the adders of both directions.

    Members
    -------
    prepare : In(1), busy : Out(1)
        One cycle, after a commit; busy for `cycles`.
    tile_address : Out, tile : In
        Synchronous read of the working memory, whose words have one pre channel.
    forward : Out(Flow(forward_word)), backward : Out(Flow(backward_word))
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv" or bundle.kernel != KERNEL:
            raise ValueError(f"FoldedKernels takes a conv bundle of kernel {KERNEL}, not {bundle.kind} of {bundle.kernel}")
        self.config, self.bundle = config, bundle
        # the four copies of each tap, and after each second tap the lanes one by one
        pairs = SIDE**2 // PAIR * bundle.pre.channels * config.groups(bundle.post)
        self.cycles = pairs * (6 + 1 + 6 + config.lanes[bundle.index])
        super().__init__(
            {
                "prepare": In(1),
                "busy": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "forward": Out(Flow(forward_word(config, bundle))),
                "backward": Out(Flow(backward_word(config, bundle))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = config.lanes[bundle.pre.index], config.lanes[bundle.post.index]
        pre_groups, post_groups = config.groups(bundle.pre), config.groups(bundle.post)
        bits = weight_bits(config)

        # -- loops: post group, pre group, pre lane, folded tap (2 jy + sy, 2 jx + sx), shift (dy, dx)
        post_group, pre_group, pre_lane = Signal(range(post_groups)), Signal(range(pre_groups)), Signal(range(pre))
        a, b, shift = Signal(range(SIDE)), Signal(range(SIDE)), Signal(range(SPOTS + 2))
        channel = Signal(range(max(bundle.pre.channels, FORWARD_CHANNELS)))
        out_channel = Signal(range(max(bundle.post.channels, BACKWARD_CHANNELS)))
        post_lane = Signal(range(post))
        base = Signal(range(layout.tiles(config, bundle)))  # of the groups' first tap
        jy, sy, jx, sx = a[1], a[0], b[1], b[0]

        # a cycle after the address, the shifted copy is added
        ky, kx, valid = Signal(signed(4)), Signal(signed(4)), Signal()
        m.d.comb += [ky.eq(a - shift[1]), kx.eq(b - shift[0])]
        m.d.comb += valid.eq((ky >= 0) & (ky < KERNEL) & (kx >= 0) & (kx < KERNEL) & (shift < SPOTS))
        taps = Array(KERNEL * y * pre + x * pre for y in range(SIDE) for x in range(SIDE))
        m.d.sync += self.tile_address.eq(base + pre_lane + taps[Cat(kx[:2], ky[:2])])
        reading, adding = Signal(), Signal()
        sums = [Signal(signed(bits), name=f"sum_{i}") for i in range(post)]
        left = [Signal(signed(bits), name=f"left_{i}") for i in range(post)]  # of the pair's first tap

        # as `forward_place` and `backward_place` say
        forward_banks = banks(bundle.pre.channels, FORWARD_CHANNELS)
        backward_banks = banks(bundle.post.channels, BACKWARD_CHANNELS)
        turn, rest = divided(channel, bundle.pre.channels, forward_banks)
        out_index, out_bank = divided(out_channel, bundle.post.channels, backward_banks)
        group, bank = Signal(range(SPOTS)), Signal(range(forward_banks))
        turned = Array(Array((n + block) % forward_banks for n in range(forward_banks)) for block in range(SPOTS))
        m.d.comb += [
            group.eq(Cat(sx, sy) + turn),
            bank.eq(turned[Cat(jx, jy)][rest]),
            self.forward.payload.unit.eq(group * forward_banks + bank),
            self.forward.payload.index.eq(Cat(jx, jy) * FORWARD_CHANNELS + turn),
            self.forward.payload.chunk.eq(post_group),
            self.backward.payload.unit.eq(Cat(~jx, ~jy) * backward_banks + out_bank),
            self.backward.payload.index.eq(out_index),
            self.backward.payload.chunk.eq(Cat(sy, pre_group) * pre + pre_lane),
            self.backward.payload.weights[0].eq(left[0]),
            self.backward.payload.weights[1].eq(sums[0]),
        ]
        m.d.comb += [self.forward.payload.weights[i].eq(total) for i, total in enumerate(sums)]

        def advance():
            """The next tap, else the next pre channel, else the next post group."""
            m.d.sync += [b.eq(b + 1), post_lane.eq(0), out_channel.eq(post_group * post)]
            with m.If(b == SIDE - 1):
                m.d.sync += a.eq(a + 1)
                with m.If(a == SIDE - 1):
                    m.d.sync += [pre_lane.eq(pre_lane + 1), channel.eq(channel + 1)]
                    with m.If(pre_lane == pre - 1):
                        m.d.sync += [pre_lane.eq(0), pre_group.eq(pre_group + 1), base.eq(base + KERNEL**2 * pre)]
                        with m.If(pre_group == pre_groups - 1):
                            m.d.sync += [pre_group.eq(0), channel.eq(0), post_group.eq(post_group + 1)]
                            m.d.sync += out_channel.eq((post_group + 1) * post)
                            with m.If(post_group == post_groups - 1):
                                m.next = "IDLE"

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [post_group.eq(0), pre_group.eq(0), pre_lane.eq(0), a.eq(0), b.eq(0), base.eq(0)]
                m.d.sync += [channel.eq(0), out_channel.eq(0), post_lane.eq(0), shift.eq(0), reading.eq(0), adding.eq(0)]
                with m.If(self.prepare):
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += [shift.eq(shift + 1), reading.eq(valid), adding.eq(reading)]
                with m.If(shift == 0):
                    m.d.sync += [total.eq(0) for total in sums]
                with m.Elif(adding):
                    m.d.sync += [total.eq(total + self.tile[i]) for i, total in enumerate(sums)]
                with m.If(shift == SPOTS + 1):
                    m.d.sync += shift.eq(0)
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.forward.valid.eq(post_lane == 0), self.backward.valid.eq(sx)]
                m.d.sync += [post_lane.eq(post_lane + 1), out_channel.eq(out_channel + 1)]
                with m.If(sx):
                    m.d.sync += [total.eq(after) for lanes in (sums, left) for total, after in pairwise(lanes)]
                with m.Else():
                    m.d.sync += [first.eq(total) for first, total in zip(left, sums, strict=True)]
                with m.If(~sx | (post_lane == post - 1)):
                    m.next = "READ"
                    advance()
        return m
