"""Line-buffer synapse engine of a conv bundle: planes stream past kernels that stay in registers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.accumulator import Accumulator
from hw.lib.line_buffer import LineBuffer

from .average_pool import AveragePool
from .convolution import Convolution
from .interface import SynapseSignature
from .kernel_loader import KernelLoader
from .spike_buffer import SpikeBuffer
from .upsample import Upsample


class ConvEngine(wiring.Component):
    """For each tile (post group, pre group): load its kernels, then run both directions side by side.

    - forward: pre planes -> line buffer -> convolution -> average pool -> accumulator (model `golden.model.ops.conv_forward`)
    - backward: post planes -> upsample -> line buffer -> convolution with flipped taps and swapped channels ->
      accumulator (model `golden.model.ops.conv_backward`)

    A tile takes k*k + (height + k - 1) * (width + k - 1) cycles and about ten more; a step all groups(post) *
    groups(pre) tiles, whatever spikes.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "conv":
            raise ValueError(f"ConvEngine takes a conv bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(SynapseSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        pre, post, k = bundle.pre, bundle.post, bundle.kernel
        pre_lanes, post_lanes = config.lanes[pre.index], config.lanes[post.index]
        pre_groups, post_groups = config.groups(pre), config.groups(post)
        pre_words, post_words = config.words(pre), config.words(post)
        weight_bits, taps = config.spec.formats.weight_bits, k * k

        m.submodules.pre = pre_buffer = SpikeBuffer(words=pre_words, lanes=pre_lanes)
        m.submodules.post = post_buffer = SpikeBuffer(words=post_words, lanes=post_lanes)
        for buffer, flow in ((pre_buffer, self.pre_spikes), (post_buffer, self.post_spikes)):
            m.d.comb += [buffer.step.eq(self.step), buffer.i.valid.eq(flow.valid), buffer.i.payload.eq(flow.payload)]

        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]

        # -- forward path
        m.submodules.lines = lines = LineBuffer(bits=pre_lanes, height=pre.height, width=pre.width, kernel=k)
        m.submodules.conv = conv = Convolution(inputs=pre_lanes, outputs=post_lanes, taps=taps, weight_bits=weight_bits)
        m.submodules.pool = pool = AveragePool(
            lanes=post_lanes, bits=conv.output_bits, height=bundle.map_height, width=bundle.map_width
        )
        m.submodules.forward = forward = Accumulator(
            words=post_words, lanes=post_lanes, bits=post.phi_bits, value_bits=conv.output_bits + 2
        )
        connect(m, lines.o, conv.i)
        connect(m, conv.o, pool.i)
        connect(m, pool.o, forward.i)
        connect(m, flipped(self.forward), forward.o)
        weights = kernel.kernel(post_lanes, pre_lanes, lambda o, i, tap: (tap, i, o))
        m.d.comb += [conv.weights[n].eq(weight) for n, weight in enumerate(weights)]

        # -- backward path
        m.submodules.upsample = upsample = Upsample(bundle, bits=post_lanes, words=post_words)
        m.submodules.back_lines = back_lines = LineBuffer(
            bits=post_lanes, height=upsample.rows, width=upsample.columns, kernel=k
        )
        m.submodules.back_conv = back_conv = Convolution(
            inputs=post_lanes, outputs=pre_lanes, taps=taps, weight_bits=weight_bits
        )
        m.submodules.backward = backward = Accumulator(
            words=pre_words, lanes=pre_lanes, bits=pre.phi_bits, value_bits=back_conv.output_bits
        )
        m.d.comb += [post_buffer.address.eq(upsample.address), upsample.data.eq(post_buffer.data)]
        connect(m, upsample.o, back_lines.i)
        connect(m, back_lines.o, back_conv.i)
        connect(m, back_conv.o, backward.i)
        connect(m, flipped(self.backward), backward.o)
        weights = kernel.kernel(pre_lanes, post_lanes, lambda i, o, tap: (taps - 1 - tap, i, o))
        m.d.comb += [back_conv.weights[n].eq(weight) for n, weight in enumerate(weights)]

        # -- where the tile reads and adds
        post_group, pre_group = Signal(range(post_groups)), Signal(range(pre_groups))
        pre_base, post_base = Signal(range(pre_words)), Signal(range(post_words))
        m.d.comb += upsample.base.eq(post_base)
        forward_at, backward_at = Signal(range(post.positions + 1)), Signal(range(pre.positions + 1))
        m.d.comb += [forward.address.eq(post_base + forward_at), forward.first.eq(pre_group == 0)]
        m.d.comb += [backward.address.eq(pre_base + backward_at), backward.first.eq(post_group == 0)]
        with m.If(forward.i.valid):
            m.d.sync += forward_at.eq(forward_at + 1)
        with m.If(backward.i.valid):
            m.d.sync += backward_at.eq(backward_at + 1)

        # -- the pre plane, read in raster order
        reading, position = Signal(), Signal(range(pre.positions))
        m.d.comb += [pre_buffer.address.eq(pre_base + position), lines.i.payload.eq(pre_buffer.data)]
        m.d.sync += lines.i.valid.eq(reading)
        with m.If(reading):
            m.d.sync += position.eq(position + 1)
            with m.If(position == pre.positions - 1):
                m.d.sync += [reading.eq(0), position.eq(0)]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [post_group.eq(0), pre_group.eq(0), pre_base.eq(0), post_base.eq(0), kernel.base.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += kernel.start.eq(1)
                m.d.sync += [forward_at.eq(0), backward_at.eq(0)]
                m.next = "LOADING"
            with m.State("LOADING"):
                with m.If(~kernel.busy):
                    m.d.comb += upsample.start.eq(1)
                    m.d.sync += reading.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If((forward_at == post.positions) & (backward_at == pre.positions) & ~reading):
                    m.d.sync += kernel.base.eq(kernel.base + taps)
                    m.next = "LOAD"
                    with m.If(pre_group != pre_groups - 1):
                        m.d.sync += [pre_group.eq(pre_group + 1), pre_base.eq(pre_base + pre.positions)]
                    with m.Else():
                        m.d.sync += [pre_group.eq(0), pre_base.eq(0), post_group.eq(post_group + 1)]
                        m.d.sync += post_base.eq(post_base + post.positions)
                        with m.If(post_group == post_groups - 1):
                            m.next = "SETTLE"
            with m.State("SETTLE"):
                # The last sums are being written.
                m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [forward.drain.eq(1), backward.drain.eq(1)]
                m.next = "IDLE"
        return m
