"""Folded kernels: convolution and average pool as one (k+1) x (k+1) kernel of stride 2, made once per commit."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec import Bundle

from . import layout
from .config import Config
from .kernel_loader import KernelLoader
from .synapse import tile

#: Kernel side that the engine is built for: then an event meets exactly two pooled rows and two pooled columns.
KERNEL = 3
#: Side of the folded kernel, and taps of one parity: `SIDE / 2` in each direction.
SIDE = KERNEL + 1


def forward_word(config: Config, bundle: Bundle):
    """Weights from one pre channel, at one parity of (y, x), to every post channel.

    Index (post group, jy, jx, post lane): folded tap (2 jy + y % 2, 2 jx + x % 2), which belongs to pooled position
    (y // 2 - jy, x // 2 - jx).
    """
    return data.ArrayLayout(signed(config.spec.formats.weight_bits + 2), 4 * bundle.post.channels)


def backward_word(config: Config, bundle: Bundle):
    """Weights from one post channel to every pre channel, for half of the folded kernel's columns.

    Index (pre group, jy, sy, sx, pre lane) of half jx: folded tap (2 jy + sy, 2 jx + sx), which belongs to pre position
    (2 (py + jy) + sy, 2 (px + jx) + sx).
    """
    return data.ArrayLayout(signed(config.spec.formats.weight_bits + 2), 8 * bundle.pre.channels)


class FoldedKernels(wiring.Component):
    """Two memories of folded weights, one for each direction, with their preparation from the working memory.

    Members
    -------
    prepare : In(1), busy : Out(1)
        One cycle, after a commit; busy for k*k + 3 + 4 pre lanes + 2 post lanes cycles for each pair of channel groups.
    tile_address : Out, tile : In
        Synchronous read of the working memory.
    forward_address : In, forward : Out(forward_word)
        Address (pre channel, y % 2, x % 2), the channel highest; ``forward`` belongs to the address of the cycle before.
    backward_address : In, backward : Out(backward_word)
        Address (post channel, jx).
    """

    latency = 1

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv" or bundle.kernel != KERNEL:
            raise ValueError(f"FoldedKernels takes a conv bundle of kernel {KERNEL}, not {bundle.kind} of {bundle.kernel}")
        self.config, self.bundle = config, bundle
        super().__init__(
            {
                "prepare": In(1),
                "busy": Out(1),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "forward_address": In(bits_for(4 * bundle.pre.channels - 1)),
                "forward": Out(forward_word(config, bundle)),
                "backward_address": In(bits_for(2 * bundle.post.channels - 1)),
                "backward": Out(backward_word(config, bundle)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post = config.lanes[bundle.pre.index], config.lanes[bundle.post.index]
        pre_groups, post_groups = config.groups(bundle.pre), config.groups(bundle.post)
        bits = config.spec.formats.weight_bits + 2

        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]

        def memory(name, shape, depth, groups):
            m.submodules[name] = memory = Memory(shape=shape.size, depth=depth, init=[])
            return memory.read_port(), memory.write_port(granularity=shape.size // groups)

        forward_read, forward_write = memory(
            "forward_memory", self.forward.shape(), 4 * bundle.pre.channels, post_groups
        )
        backward_read, backward_write = memory(
            "backward_memory", self.backward.shape(), 2 * bundle.post.channels, pre_groups
        )
        m.d.comb += [
            forward_read.addr.eq(self.forward_address),
            self.forward.as_value().eq(forward_read.data),
            backward_read.addr.eq(self.backward_address),
            self.backward.as_value().eq(backward_read.data),
        ]

        # -- one lane's kernels, folded: tap (a, b) is the sum of the four copies shifted by 0 or 1
        pre_lane, post_lane, part = Signal(range(pre)), Signal(range(post)), Signal(range(4))
        pre_group, post_group = Signal(range(pre_groups)), Signal(range(post_groups))
        pre_channel, post_channel = Signal(range(bundle.pre.channels)), Signal(range(bundle.post.channels))
        m.d.comb += [pre_channel.eq(pre_group * pre + pre_lane), post_channel.eq(post_group * post + post_lane)]

        def folded(weight, a, b, name):
            taps = [
                weight(y * KERNEL + x) for y in (a - 1, a) for x in (b - 1, b) if 0 <= y < KERNEL and 0 <= x < KERNEL
            ]
            result = Signal(signed(bits), name=name)
            m.d.comb += result.eq(sum(taps[1:], taps[0]))
            return result

        def kernels(lanes, weight, name):
            return [
                [[folded(weight(i), a, b, f"{name}_{i}_{a}_{b}") for b in range(SIDE)] for a in range(SIDE)]
                for i in range(lanes)
            ]

        def from_pre(i):
            return lambda tap: kernel.taps[tap].as_value().word_select(pre_lane * post + i, bits - 2).as_signed()

        def from_post(i):
            return lambda tap: kernel.taps[tap].as_value().word_select(post_lane + i * post, bits - 2).as_signed()

        to_post, to_pre = kernels(post, from_pre, "forward"), kernels(pre, from_post, "backward")
        forward_data, backward_data = Signal(4 * post * bits), Signal(8 * pre * bits)
        halves = range(2)
        with m.Switch(part):
            for y in halves:
                for x in halves:
                    with m.Case(2 * y + x):
                        taps = [k[2 * jy + y][2 * jx + x] for jy in halves for jx in halves for k in to_post]
                        m.d.comb += forward_data.eq(Cat(taps))
        with m.Switch(part[0]):
            for jx in halves:
                with m.Case(jx):
                    taps = [k[2 * jy + y][2 * jx + x] for jy in halves for y in halves for x in halves for k in to_pre]
                    m.d.comb += backward_data.eq(Cat(taps))
        m.d.comb += [
            forward_write.addr.eq(Cat(part, pre_channel)),
            forward_write.data.eq(forward_data.replicate(post_groups)),
            backward_write.addr.eq(Cat(part[0], post_channel)),
            backward_write.data.eq(backward_data.replicate(pre_groups)),
        ]

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.prepare):
                    m.d.sync += [pre_group.eq(0), post_group.eq(0), kernel.base.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += kernel.start.eq(1)
                m.d.sync += [pre_lane.eq(0), post_lane.eq(0), part.eq(0)]
                m.next = "LOADING"
            with m.State("LOADING"):
                with m.If(~kernel.busy):
                    m.next = "FORWARD"
            with m.State("FORWARD"):
                m.d.comb += forward_write.en.eq(1 << post_group)
                m.d.sync += part.eq(part + 1)
                with m.If(part == 3):
                    m.d.sync += pre_lane.eq(pre_lane + 1)
                    with m.If(pre_lane == pre - 1):
                        m.next = "BACKWARD"
            with m.State("BACKWARD"):
                m.d.comb += backward_write.en.eq(1 << pre_group)
                m.d.sync += part.eq(part + 1)
                with m.If(part == 1):
                    m.d.sync += [part.eq(0), post_lane.eq(post_lane + 1)]
                    with m.If(post_lane == post - 1):
                        m.d.sync += [kernel.base.eq(kernel.base + KERNEL**2), pre_group.eq(pre_group + 1)]
                        m.next = "LOAD"
                        with m.If(pre_group == pre_groups - 1):
                            m.d.sync += [pre_group.eq(0), post_group.eq(post_group + 1)]
                            with m.If(post_group == post_groups - 1):
                                m.next = "IDLE"
        return m
