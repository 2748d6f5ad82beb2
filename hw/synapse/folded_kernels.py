"""Folded kernels, computed at each commit: convolution and pool as one kernel of side k + 1, stride 2."""

from itertools import pairwise

from amaranth.hdl import Array, Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import BACKWARD_CHANNELS, FORWARD_CHANNELS, SPOTS, banks
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.bounds import bounded, signed_range
from nudge.hw.lib.flow import Flow

from .event_layout import KERNEL, PAIR, SIDE, adder_shape, kernel_word, weight_bits
from .interface import tile


def divided(channel, channels: int, units: int):
    """Return quotient and remainder of a signal below ``channels`` divided by ``units``, from tables."""
    parts = zip(*(divmod(n, units) for n in range(channels)), strict=True)
    tables = (Array(Const(n, bits_for(max(part))) for n in part) for part in map(tuple, parts))
    return tuple(table[channel] for table in tables)


def cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles in which `FoldedKernels` computes all kernels.

    For each pair of taps: the four terms of either (6 cycles each), one cycle to write the first, and one for
    each lane of the second.
    """
    pairs = SIDE**2 // PAIR * bundle.pre.channels * config.groups(bundle.post)
    return pairs * (6 + 1 + 6 + config.lanes[bundle.post.index])


class FoldedKernels(wiring.Component):
    """Reads the working memory and writes folded weights, tap after tap, to the adders of both directions.

        folded[o,c,a,b] = sum over dy, dx in {0, 1} of w[o,c,a-dy,b-dx]

    Terms outside of the kernel are 0.
    Latency: `cycles`.

    Members
    -------
    prepare : In(1)
        One-cycle pulse after a commit: computes all folded kernels.
    busy : Out(1)
        High from the cycle after ``prepare``, for `cycles`.
    tile_address : Out
        Address in the working memory, each word of which belongs to one pre channel.
    tile : In(tile)
        The word at the address of the previous cycle.
    forward : Out(Flow(kernel_word))
        Weights for the adder of the forward direction.
    backward : Out(Flow(kernel_word))
        Weights for the adder of the backward direction.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv" or bundle.kernel != KERNEL:
            what = f"{bundle.kind} of {bundle.kernel}"
            raise ValueError(f"FoldedKernels takes a conv bundle of kernel {KERNEL}, not {what}")
        self.config, self.bundle = config, bundle
        self.pre_lanes = config.lanes[bundle.pre.index]
        self.post_lanes = config.lanes[bundle.post.index]
        super().__init__(
            {
                "prepare": In(1),
                "busy": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "forward": Out(Flow(kernel_word(**adder_shape(config, bundle, "forward")))),
                "backward": Out(Flow(kernel_word(**adder_shape(config, bundle, "backward")))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        at = Loops(self.config, self.bundle)
        valid = self._read(m, at)
        bits, lanes = signed(weight_bits(self.config)), range(self.post_lanes)
        sums = [Signal(bits, name=f"sum_{i}") for i in lanes]
        left = [Signal(bits, name=f"left_{i}") for i in lanes]  # sums of the pair's first tap
        self._place(m, at, sums, left)
        self._control(m, at, valid, sums, left)
        return m

    def _read(self, m, at):
        """Address the weight w[a-dy, b-dx] of a folded tap. Return a signal: the kernel has this weight."""
        ky, kx, valid = Signal(signed(4)), Signal(signed(4)), Signal()
        m.d.comb += [ky.eq(at.a - at.shift[1]), kx.eq(at.b - at.shift[0])]
        inside = (ky >= 0) & (ky < KERNEL) & (kx >= 0) & (kx < KERNEL)
        m.d.comb += valid.eq(inside & (at.shift < SPOTS))
        lanes = self.pre_lanes
        taps = Array(KERNEL * y * lanes + x * lanes for y in range(SIDE) for x in range(SIDE))
        tap = taps[Cat(kx[:2], ky[:2])]
        m.d.sync += self.tile_address.eq(at.base + at.pre_lane + tap)
        return valid

    def _place(self, m, at, sums, left):
        """Drive the places of the folded weights: `forward_place` and `backward_place` as logic."""
        pre, post = self.bundle.pre.channels, self.bundle.post.channels
        forward, backward = self.forward.payload, self.backward.payload
        jy, sy, jx, sx = at.a[1], at.a[0], at.b[1], at.b[0]
        forward_banks, backward_banks = banks(pre, FORWARD_CHANNELS), banks(post, BACKWARD_CHANNELS)
        turn, rest = divided(at.channel, pre, forward_banks)
        out_index, out_bank = divided(at.out_channel, post, backward_banks)
        group, bank = Signal(range(SPOTS)), Signal(range(forward_banks))
        turned = Array(
            Array((n + block) % forward_banks for n in range(forward_banks)) for block in range(SPOTS)
        )
        m.d.comb += [
            group.eq(Cat(sx, sy) + turn),
            bank.eq(turned[Cat(jx, jy)][rest]),
            forward.unit.eq(group * forward_banks + bank),
            forward.index.eq(Cat(jx, jy) * FORWARD_CHANNELS + turn),
            forward.chunk.eq(at.post_group),
            backward.unit.eq(Cat(~jx, ~jy) * backward_banks + out_bank),
            backward.index.eq(out_index),
            backward.chunk.eq(Cat(sy, at.pre_group) * self.pre_lanes + at.pre_lane),
            backward.weights[0].eq(left[0]),
            backward.weights[1].eq(sums[0]),
        ]
        m.d.comb += [forward.weights[i].eq(total) for i, total in enumerate(sums)]

    def _control(self, m, at, valid, sums, left):
        """Build the state machine: add the four terms of a folded tap, then write it; backward together with
        the tap to its left."""
        reading, adding = Signal(), Signal()
        sx = at.b[0]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [counter.eq(0) for counter in at.counters]
                m.d.sync += [reading.eq(0), adding.eq(0)]
                with m.If(self.prepare):
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += [at.shift.eq(at.shift + 1), reading.eq(valid), adding.eq(reading)]
                with m.If(at.shift == 0):
                    m.d.sync += [total.eq(0) for total in sums]
                with m.Elif(adding):
                    low, high = signed_range(weight_bits(self.config))
                    for i, total in enumerate(sums):
                        m.d.sync += bounded(
                            total, total + self.tile[i], low, high, "`weight_bits`: copies of a tap are four"
                        )
                with m.If(at.shift == SPOTS + 1):
                    m.d.sync += at.shift.eq(0)
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.forward.valid.eq(at.post_lane == 0), self.backward.valid.eq(sx)]
                m.d.sync += at.post_lane.eq(at.post_lane + 1)
                m.d.sync += at.out_channel.eq(at.out_channel + 1)
                with m.If(sx):
                    rows = (sums, left)
                    m.d.sync += [total.eq(after) for row in rows for total, after in pairwise(row)]
                with m.Else():
                    m.d.sync += [one.eq(total) for one, total in zip(left, sums, strict=True)]
                with m.If(~sx | (at.post_lane == self.post_lanes - 1)):
                    m.next = "READ"
                    self._next_tap(m, at)

    def _next_tap(self, m, at):
        """Advance to the next tap, else to the next pre channel, else to the next post group, else end."""
        config, pre, post = self.config, self.pre_lanes, self.post_lanes
        m.d.sync += [at.b.eq(at.b + 1), at.post_lane.eq(0)]
        m.d.sync += at.out_channel.eq(at.post_group * post)
        with m.If(at.b == SIDE - 1):
            m.d.sync += at.a.eq(at.a + 1)
            with m.If(at.a == SIDE - 1):
                m.d.sync += [at.pre_lane.eq(at.pre_lane + 1), at.channel.eq(at.channel + 1)]
                with m.If(at.pre_lane == pre - 1):
                    m.d.sync += [at.pre_lane.eq(0), at.pre_group.eq(at.pre_group + 1)]
                    m.d.sync += at.base.eq(at.base + KERNEL**2 * pre)
                    with m.If(at.pre_group == config.groups(self.bundle.pre) - 1):
                        m.d.sync += [at.pre_group.eq(0), at.channel.eq(0)]
                        m.d.sync += at.post_group.eq(at.post_group + 1)
                        m.d.sync += at.out_channel.eq((at.post_group + 1) * post)
                        with m.If(at.post_group == config.groups(self.bundle.post) - 1):
                            m.next = "IDLE"


class Loops:
    """Loop counters, outermost first: post group, pre group, pre lane, folded tap (a, b), shift.

    The folded tap is (2 jy + sy, 2 jx + sx), the shift (dy, dx).
    """

    def __init__(self, config: Config, bundle: Bundle):
        pre, post = bundle.pre, bundle.post
        pre_groups, post_groups = range(config.groups(pre)), range(config.groups(post))
        lanes = range(config.lanes[pre.index])
        self.post_group, self.pre_group, self.pre_lane = (
            Signal(post_groups),
            Signal(pre_groups),
            Signal(lanes),
        )
        side, shifts = range(SIDE), range(SPOTS + 2)
        self.a, self.b, self.shift = Signal(side), Signal(side), Signal(shifts)
        #: Pre channel.
        self.channel = Signal(range(max(pre.channels, FORWARD_CHANNELS)))
        #: Post channel and post lane of the backward weight that is written.
        self.out_channel = Signal(range(max(post.channels, BACKWARD_CHANNELS)))
        self.post_lane = Signal(range(config.lanes[post.index]))
        #: Address of the groups' first tap.
        self.base = Signal(range(layout.tiles(config, bundle)))
        #: All counters, to reset them together.
        self.counters = [self.post_group, self.pre_group, self.pre_lane, self.a, self.b, self.base]
        self.counters += [self.channel, self.out_channel, self.post_lane, self.shift]
