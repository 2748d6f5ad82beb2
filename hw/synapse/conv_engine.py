"""Line-buffer synapse engine of a conv bundle: streams planes of spikes past kernels held in registers."""

from itertools import product

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.lib.accumulator import Accumulator
from nudge.hw.lib.line_buffer import LineBuffer, read_plane

from .average_pool import AveragePool
from .convolution import Convolution
from .interface import SynapseSignature
from .kernel_loader import KernelLoader
from .spike_buffer import spike_buffers
from .upsample import Upsample


class ConvEngine(wiring.Component):
    """For each tile (post group, pre group) loads its kernels, then computes both directions in parallel.

    - forward: pre planes -> line buffer -> convolution -> average pool -> accumulator
      (integer model: `golden.model.ops.conv_forward`)
    - backward: post planes -> upsample -> line buffer -> convolution with flipped taps and swapped
      channels -> accumulator (integer model: `golden.model.ops.conv_backward`)

    Latency: k*k + (height + k - 1) * (width + k - 1) and about ten cycles a tile, with the pre layer's height
    and width, also with padding; a half takes groups(post) * groups(pre) tiles, independent of the number of
    spikes.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv":
            raise ValueError(f"ConvEngine takes a conv bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        self.pre_lanes = config.lanes[bundle.pre.index]
        self.post_lanes = config.lanes[bundle.post.index]
        self.taps = bundle.kernel**2
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre_buffer, post_buffer = spike_buffers(m, self)
        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]
        pre, post = GroupAt(config, bundle.pre, "pre"), GroupAt(config, bundle.post, "post")
        taps = range(self.taps)

        lines, conv = self._convolution(m, "", pre, post, bundle.framed_height, bundle.framed_width)
        weights = product(range(post.lanes), range(pre.lanes), taps)
        m.d.comb += [conv.weights[n].eq(kernel.weight(tap, i, o)) for n, (o, i, tap) in enumerate(weights)]
        m.submodules.pool = pool = AveragePool(
            lanes=post.lanes, bits=conv.output_bits, height=bundle.map_height, width=bundle.map_width
        )
        connect(m, conv.o, pool.i)
        forward = self._sum(m, "forward", pool.o, pre, post)
        reading = Signal()
        position = read_plane(m, lines, reading, pre_buffer.data, frame=bundle.padding)
        m.d.comb += pre_buffer.address.eq(pre.base + position)

        bits = post.lanes * config.spec.spike_bits
        m.submodules.upsample = upsample = Upsample(bundle, bits=bits, words=config.words(bundle.post))
        m.d.comb += [post_buffer.address.eq(upsample.address), upsample.data.eq(post_buffer.data)]
        m.d.comb += upsample.base.eq(post.base)
        back_lines, back_conv = self._convolution(m, "back_", post, pre, upsample.rows, upsample.columns)
        weights = product(range(pre.lanes), range(post.lanes), reversed(taps))
        m.d.comb += [
            back_conv.weights[n].eq(kernel.weight(tap, i, o)) for n, (i, o, tap) in enumerate(weights)
        ]
        connect(m, upsample.o, back_lines.i)
        backward = self._sum(m, "backward", back_conv.o, post, pre)

        self._control(m, kernel, pre, post, upsample, reading, (forward, backward))
        return m

    def _convolution(self, m, prefix, source, target, height, width):
        """Build line buffer and convolution of one direction, from ``source``'s spikes to ``target``."""
        spike_bits = self.config.spec.spike_bits
        m.submodules[f"{prefix}lines"] = lines = LineBuffer(
            bits=source.lanes * spike_bits, height=height, width=width, kernel=self.bundle.kernel
        )
        m.submodules[f"{prefix}conv"] = conv = Convolution(
            inputs=source.lanes,
            outputs=target.lanes,
            taps=self.taps,
            weight_bits=self.config.spec.formats.weight_bits,
            sample_bits=spike_bits,
        )
        connect(m, lines.o, conv.i)
        return lines, conv

    def _sum(self, m, name, values, source, target):
        """Build the accumulator of a direction; the sums of the source's first group replace the old."""
        m.submodules[name] = sums = Accumulator(
            words=self.config.words(target.layer),
            lanes=target.lanes,
            bits=target.layer.phi_bits,
            value_bits=values.payload.shape().elem_shape.width,
        )
        connect(m, values, sums.i)
        connect(m, flipped(getattr(self, name)), sums.o)
        m.d.comb += [sums.address.eq(target.base + target.added), sums.first.eq(source.group == 0)]
        with m.If(sums.i.valid):
            m.d.sync += target.added.eq(target.added + 1)
        return sums

    def _control(self, m, kernel, pre, post, upsample, reading, accumulators):
        """Build the state machine: one tile after another, then the drives are sent."""
        with m.FSM():
            with kernel.for_each_tile(
                m,
                start=self.start,
                begin=[*pre.first(), *post.first()],
                load=[pre.added.eq(0), post.added.eq(0)],
                run=[("comb", upsample.start.eq(1)), ("sync", reading.eq(1))],
                done=(post.added == post.layer.positions) & (pre.added == pre.layer.positions) & ~reading,
            ):
                with m.If(pre.group != pre.groups - 1):
                    m.d.sync += pre.next()
                with m.Else():
                    m.d.sync += [*pre.first(), *post.next()]
                    with m.If(post.group == post.groups - 1):
                        m.next = "SETTLE"
            with m.State("SETTLE"):
                # The last sums are still being written.
                m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [accumulator.drain.eq(1) for accumulator in accumulators]
                m.next = "IDLE"


class GroupAt:
    """Counters of one of a tile's layers: its channel group, and the positions added so far."""

    def __init__(self, config: Config, layer: Layer, name: str):
        self.layer, self.lanes, self.groups = layer, config.lanes[layer.index], config.groups(layer)
        self.group = Signal(range(self.groups), name=f"{name}_group")
        #: Address of the group's first word.
        self.base = Signal(range(config.words(layer)), name=f"{name}_base")
        #: Number of positions with the tile's sums added.
        self.added = Signal(range(layer.positions + 1), name=f"{name}_added")

    def first(self):
        """Return the statements that go to the first group."""
        return [self.group.eq(0), self.base.eq(0)]

    def next(self):
        """Return the statements that go to the next group."""
        return [self.group.eq(self.group + 1), self.base.eq(self.base + self.layer.positions)]
