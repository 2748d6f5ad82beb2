"""Line-buffer synapse engine of a conv bundle: planes stream past kernels held in registers."""

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
from .spike_buffers import spike_buffers
from .upsample import Upsample


class ConvEngine(wiring.Component):
    """For each tile (post group, pre group): load its kernels, then run both directions at once.

    - forward: pre planes -> line buffer -> convolution -> average pool -> accumulator
      (model `golden.model.ops.conv_forward`)
    - backward: post planes -> upsample -> line buffer -> convolution with flipped taps and swapped
      channels -> accumulator (model `golden.model.ops.conv_backward`)

    Latency: a tile takes k*k + (height + k - 1) * (width + k - 1) cycles and about ten more; a step
    all groups(post) * groups(pre) tiles, whatever spikes.
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
        m.submodules.pre, m.submodules.post = pre_buffer, post_buffer = spike_buffers(m, self)

        m.submodules.kernel = kernel = KernelLoader(self.config, self.bundle)
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]
        lines, forward = self._forward(m, kernel)
        upsample, backward = self._backward(m, kernel, post_buffer)

        at = TileAt(self.config, self.bundle)
        m.d.comb += upsample.base.eq(at.post_base)
        self._add(m, at, forward, backward)
        reading = self._read_plane(m, at, pre_buffer, lines)
        self._control(m, at, kernel, upsample, reading, (forward, backward))
        return m

    def _forward(self, m, kernel):
        """The forward path; returns its line buffer and its accumulator."""
        config, bundle = self.config, self.bundle
        pre_lanes, post_lanes = self.pre_lanes, self.post_lanes
        pre, post, weight_bits = bundle.pre, bundle.post, config.spec.formats.weight_bits
        spike_bits = config.spec.spike_bits
        m.submodules.lines = lines = LineBuffer(
            bits=pre_lanes * spike_bits, height=pre.height, width=pre.width, kernel=bundle.kernel
        )
        m.submodules.conv = conv = Convolution(
            inputs=pre_lanes, outputs=post_lanes, taps=self.taps, weight_bits=weight_bits, sample_bits=spike_bits
        )
        m.submodules.pool = pool = AveragePool(
            lanes=post_lanes,
            bits=conv.output_bits,
            height=bundle.map_height,
            width=bundle.map_width,
        )
        m.submodules.forward = forward = Accumulator(
            words=config.words(post),
            lanes=post_lanes,
            bits=post.phi_bits,
            value_bits=conv.output_bits + 2,
        )
        connect(m, lines.o, conv.i)
        connect(m, conv.o, pool.i)
        connect(m, pool.o, forward.i)
        connect(m, flipped(self.forward), forward.o)
        weights = kernel.kernel(post_lanes, pre_lanes, lambda o, i, tap: (tap, i, o))
        m.d.comb += [conv.weights[n].eq(weight) for n, weight in enumerate(weights)]
        return lines, forward

    def _backward(self, m, kernel, post_buffer):
        """The backward path; returns its upsampler and its accumulator."""
        config, bundle = self.config, self.bundle
        pre_lanes, post_lanes = self.pre_lanes, self.post_lanes
        pre, post_words = bundle.pre, config.words(bundle.post)
        weight_bits, last_tap = config.spec.formats.weight_bits, self.taps - 1
        spike_bits = config.spec.spike_bits
        m.submodules.upsample = upsample = Upsample(bundle, bits=post_lanes * spike_bits, words=post_words)
        m.submodules.back_lines = back_lines = LineBuffer(
            bits=post_lanes * spike_bits, height=upsample.rows, width=upsample.columns, kernel=bundle.kernel
        )
        m.submodules.back_conv = back_conv = Convolution(
            inputs=post_lanes, outputs=pre_lanes, taps=self.taps, weight_bits=weight_bits, sample_bits=spike_bits
        )
        m.submodules.backward = backward = Accumulator(
            words=config.words(pre),
            lanes=pre_lanes,
            bits=pre.phi_bits,
            value_bits=back_conv.output_bits,
        )
        m.d.comb += [post_buffer.address.eq(upsample.address), upsample.data.eq(post_buffer.data)]
        connect(m, upsample.o, back_lines.i)
        connect(m, back_lines.o, back_conv.i)
        connect(m, back_conv.o, backward.i)
        connect(m, flipped(self.backward), backward.o)
        weights = kernel.kernel(pre_lanes, post_lanes, lambda i, o, tap: (last_tap - tap, i, o))
        m.d.comb += [back_conv.weights[n].eq(weight) for n, weight in enumerate(weights)]
        return upsample, backward

    def _add(self, m, at, forward, backward):
        """Adds a tile's sums position by position; a group's first tile replaces the old ones."""
        m.d.comb += forward.address.eq(at.post_base + at.forward)
        m.d.comb += forward.first.eq(at.pre_group == 0)
        m.d.comb += backward.address.eq(at.pre_base + at.backward)
        m.d.comb += backward.first.eq(at.post_group == 0)
        with m.If(forward.i.valid):
            m.d.sync += at.forward.eq(at.forward + 1)
        with m.If(backward.i.valid):
            m.d.sync += at.backward.eq(at.backward + 1)

    def _read_plane(self, m, at, pre_buffer, lines):
        """Reads the pre plane in raster order once ``reading``, which is returned, has risen."""
        positions = self.bundle.pre.positions
        reading, position = Signal(), Signal(range(positions))
        m.d.comb += pre_buffer.address.eq(at.pre_base + position)
        m.d.comb += lines.i.payload.eq(pre_buffer.data)
        m.d.sync += lines.i.valid.eq(reading)
        with m.If(reading):
            m.d.sync += position.eq(position + 1)
            with m.If(position == positions - 1):
                m.d.sync += [reading.eq(0), position.eq(0)]
        return reading

    def _control(self, m, at, kernel, upsample, reading, accumulators):
        """Tile after tile: its kernels, its planes; then the drives leave."""
        pre, post = self.bundle.pre, self.bundle.post
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [at.post_group.eq(0), at.pre_group.eq(0)]
                    m.d.sync += [at.pre_base.eq(0), at.post_base.eq(0), kernel.base.eq(0)]
                    m.next = "LOAD"
            with m.State("LOAD"):
                m.d.comb += kernel.start.eq(1)
                m.d.sync += [at.forward.eq(0), at.backward.eq(0)]
                m.next = "LOADING"
            with m.State("LOADING"):
                with m.If(~kernel.busy):
                    m.d.comb += upsample.start.eq(1)
                    m.d.sync += reading.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                added = (at.forward == post.positions) & (at.backward == pre.positions)
                with m.If(added & ~reading):
                    m.d.sync += kernel.base.eq(kernel.base + self.taps)
                    m.next = "LOAD"
                    self._next_tile(m, at)
            with m.State("SETTLE"):
                # The last sums are being written.
                m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [accumulator.drain.eq(1) for accumulator in accumulators]
                m.next = "IDLE"

    def _next_tile(self, m, at):
        """The next pre group, else the next post group, else the end."""
        pre, post, config = self.bundle.pre, self.bundle.post, self.config
        with m.If(at.pre_group != config.groups(pre) - 1):
            m.d.sync += at.pre_group.eq(at.pre_group + 1)
            m.d.sync += at.pre_base.eq(at.pre_base + pre.positions)
        with m.Else():
            m.d.sync += [at.pre_group.eq(0), at.pre_base.eq(0), at.post_group.eq(at.post_group + 1)]
            m.d.sync += at.post_base.eq(at.post_base + post.positions)
            with m.If(at.post_group == config.groups(post) - 1):
                m.next = "SETTLE"


class TileAt:
    """Which tile is worked on, and how far."""

    def __init__(self, config: Config, bundle: Bundle):
        pre, post = bundle.pre, bundle.post
        pre_groups, post_groups = range(config.groups(pre)), range(config.groups(post))
        pre_words, post_words = range(config.words(pre)), range(config.words(post))
        pre_count, post_count = range(pre.positions + 1), range(post.positions + 1)
        # named where a tuple hides the name
        self.post_group, self.pre_group = Signal(post_groups), Signal(pre_groups, name="pre_group")
        #: Addresses of the groups' first words.
        self.pre_base, self.post_base = Signal(pre_words), Signal(post_words, name="post_base")
        #: Positions whose sums each direction has added.
        self.forward, self.backward = Signal(post_count), Signal(pre_count, name="backward_at")
