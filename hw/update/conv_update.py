"""Equilibrium-propagation update engine of a convolution with pooling, on window sums or on the image."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import data_delay, delay
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.line_buffer import LineBuffer, read_plane
from nudge.hw.lib.loops import counting

from .correlator import correlate, correlator_of, last_cycle, pre_factor
from .interface import UpdateSignature, products


class ConvUpdate(wiring.Component):
    """Computes the updates of ``lanes`` weights in parallel, one pooled position in `Config.item_cycles`
    cycles.

    With box[c,y,x] = sum of the 2x2 pre values from (y, x), and with fine spikes the g of `products`:

        g[o,c,ky,kx] = sum over (y, x) of box+[c,2y+ky,2x+kx] post+[o,y,x] - box-[c,2y+ky,2x+kx] post-[o,y,x]
        g[o]         = sum over (y, x) of post+[o,y,x] - post-[o,y,x]                        (bias)

    Upsampling gives the four convolution positions under a pooled one the same post value, so their pre
    values are added first, which leaves a quarter of the products. For each pre group the sums of all 2x2
    boxes of the pre planes are written to a memory (a `LineBuffer` and adders); then, for each post group,
    tap and pre lane, the pooled positions are correlated at stride two. The biases come last.

    Latency: for each pre group (pre positions + c * groups(post) * k*k * pre lanes * pooled positions) cycles
    and about five more, then c * words(post), the correlator's latency and a few more for the biases; c is
    `Config.item_cycles`.
    Integer model: `golden.model.ops.correlation` (paper eq. 11 with alpha = 4, the 1/4 in the LSB).
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.full:
            raise ValueError(f"ConvUpdate takes a conv or an image bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        super().__init__(UpdateSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        correlator = correlator_of(m, self)

        boxes = Boxes(config, bundle)
        lines = self._fill_boxes(m, boxes)
        read = self.pre_address.eq(self.pre_address + 1)
        read_plane(m, lines, boxes.reading, self.pre.as_value(), read, bundle.padding)

        loops = Loops(config, bundle)
        advance = last_cycle(m, config, bundle, loops.active)
        m.d.comb += boxes.read.addr.eq(loops.box_row + (loops.px << 1) + loops.kx)
        with m.If(advance):
            self._next_position(m, loops)
        m.d.sync += self.post_address.eq(loops.post_word)
        word, lane2, number = (
            data_delay(m, boxes.read.data),
            delay(m, loops.lane, 2),
            range(len(products(config, bundle))),
        )
        pre = [word[0 if bundle.kind == "image" else lane2 + n * loops.lanes] for n in number]
        ends = loops.first, loops.last
        correlate(m, self, correlator, loops.active, loops.address, loops.bias, pre, ends)
        self._control(m, loops, boxes, correlator.latency)
        return m

    def _fill_boxes(self, m, boxes):
        """Build and return the line buffer, and write the sum of each 2x2 box of the words sent to it."""
        value, bundle = self.pre.as_value(), self.bundle
        bits = len(value) // boxes.values
        m.submodules.lines = lines = LineBuffer(
            bits=len(value), height=bundle.framed_height, width=bundle.framed_width, kernel=2
        )
        m.submodules.boxes = boxes.memory
        write = boxes.write
        m.d.comb += [write.addr.eq(boxes.boxed), write.en.eq(delay(m, lines.o.valid, 1))]
        for n in range(boxes.values):
            corners = [lines.o.payload[corner].word_select(n, bits) for corner in range(4)]
            if boxes.signed:
                corners = [corner.as_signed() for corner in corners]
            rows = [data_delay(m, corners[i] + corners[i + 1]) for i in (0, 2)]
            m.d.comb += write.data[n].eq(rows[0] + rows[1])
        with m.If(write.en), counting(m, boxes.boxed, boxes.depth):
            m.d.sync += boxes.complete.eq(1)
        return lines

    def _next_position(self, m, at):
        """Advance to the next pooled column, else to the next row, else to the next weight or bias."""
        post = self.bundle.post
        m.d.sync += [at.px.eq(at.px + 1), at.post_word.eq(at.post_word + 1)]
        with m.If(at.px == post.width - 1):
            m.d.sync += [at.px.eq(0), at.py.eq(at.py + 1)]
            m.d.sync += at.box_row.eq(at.box_row + 2 * at.columns)
        with m.If(at.last):
            # The next weight or bias starts at the first pooled position.
            m.d.sync += [at.py.eq(0), at.post_word.eq(at.post_base)]
            m.d.sync += [at.box_row.eq(at.tap_row), at.address.eq(at.address + 1)]
            self._next_weight(m, at)

    def _next_weight(self, m, at):
        """Advance to the next pre lane, else to the next tap, else to the next post group, else end."""
        k, post, lanes = self.bundle.kernel, self.bundle.post, at.lanes
        m.d.sync += at.lane.eq(at.lane + 1)
        with m.If((at.lane == lanes - 1) & ~at.bias):
            m.d.sync += at.lane.eq(0)
            with counting(m, at.kx, k):
                m.d.sync += at.ky.eq(at.ky + 1)
                m.d.sync += at.tap_row.eq(at.tap_row + at.columns)
                m.d.sync += at.box_row.eq(at.tap_row + at.columns)
        with m.If(at.bias | ((at.lane == lanes - 1) & (at.kx == k - 1) & (at.ky == k - 1))):
            m.d.sync += [at.lane.eq(0), at.ky.eq(0), at.tap_row.eq(0), at.box_row.eq(0)]
            m.d.sync += at.post_group.eq(at.post_group + 1)
            m.d.sync += at.post_base.eq(at.post_base + post.positions)
            m.d.sync += at.post_word.eq(at.post_base + post.positions)
            with m.If(~at.bias):
                m.d.sync += at.address.eq(at.address + 1 + (at.pre_groups - 1) * at.tile_words)
            with m.If(at.post_group == at.post_groups - 1):
                m.d.sync += at.active.eq(0)

    def _begin(self, m, at):
        """Start the loops over a pre group's weights, or over the biases."""
        m.d.sync += [at.post_group.eq(0), at.post_base.eq(0), at.post_word.eq(0)]
        m.d.sync += [at.px.eq(0), at.py.eq(0), at.active.eq(1)]

    def _begin_weights(self, m, at):
        self._begin(m, at)
        m.d.sync += [at.address.eq(at.pre_group * at.tile_words), at.ky.eq(0), at.kx.eq(0)]
        m.d.sync += [at.lane.eq(0), at.tap_row.eq(0), at.box_row.eq(0)]
        m.next = "WEIGHTS"

    def _control(self, m, at, boxes, latency):
        """Build the state machine: for each pre group boxes, then weights; at last the biases."""
        drained = Signal(range(3 + latency))
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [self.pre_address.eq(0), at.pre_group.eq(0), at.bias.eq(0)]
                with m.If(self.start):
                    m.next = "BOX"
            with m.State("BOX"):
                m.d.sync += [boxes.reading.eq(1), boxes.complete.eq(0)]
                m.next = "BOXING"
            with m.State("BOXING"):
                with m.If(boxes.complete & ~boxes.reading):
                    self._begin_weights(m, at)
            with m.State("WEIGHTS"):
                with m.If(~at.active):
                    m.d.sync += at.pre_group.eq(at.pre_group + 1)
                    m.next = "BOX"
                    with m.If(at.pre_group == at.pre_groups - 1):
                        self._begin(m, at)
                        biases_at = layout.weight_words(self.config, self.bundle)
                        m.d.sync += [at.bias.eq(1), at.address.eq(biases_at)]
                        m.next = "BIASES"
            with m.State("BIASES"):
                with m.If(~at.active):
                    m.d.sync += drained.eq(0)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += drained.eq(drained + 1)
                with m.If(drained == latency + 2):
                    m.next = "IDLE"


class Boxes:
    """The memory of a pre group's 2x2 box sums, row by row, and its write counter.

    Its size is (height - 1) x (width - 1), with those of the pre layer in its frame.

    A word has the lanes of the pre field of each of the `products`; on the image it has one pixel.
    """

    def __init__(self, config: Config, bundle: Bundle):
        pre = bundle.pre
        self.values = 1 if bundle.kind == "image" else len(products(config, bundle)) * config.lanes[pre.index]
        self.depth = (bundle.framed_height - 1) * (bundle.framed_width - 1)
        shape = data.ArrayLayout(pre_factor(config, bundle), self.values)
        self.signed = pre_factor(config, bundle).signed
        self.memory = BlockMemory(shape=shape, depth=self.depth)
        box_read, box_write = self.memory.read_port(), self.memory.write_port()
        self.read, self.write = box_read, box_write
        #: Number of boxes written, and a flag: all are.
        self.boxed, self.complete = Signal(range(self.depth)), Signal()
        #: High while the plane is read.
        self.reading = Signal()


class Loops:
    """Counters of the loops over a pre group's weights, or over the biases.

    Outermost first: post group, ky, kx, pre lane, pooled row py, pooled column px.
    """

    def __init__(self, config: Config, bundle: Bundle):
        pre, post, k = bundle.pre, bundle.post, bundle.kernel
        self.lanes = config.lanes[pre.index]
        self.pre_groups, self.post_groups = config.groups(pre), config.groups(post)
        #: Master words between one post group and one pre group.
        self.tile_words = k * k * self.lanes
        #: Boxes in a row.
        self.columns = bundle.framed_width - 1
        depth = (bundle.framed_height - 1) * self.columns

        # Signals get explicit names where Amaranth can't derive them from the assignment.
        self.active, self.bias = Signal(), Signal(name="bias")
        pre_groups, post_groups = range(self.pre_groups), range(self.post_groups)
        self.post_group, self.pre_group = Signal(post_groups), Signal(pre_groups)
        self.ky, self.kx, self.lane = Signal(range(k)), Signal(range(k)), Signal(range(self.lanes))
        self.py, self.px = Signal(range(post.height)), Signal(range(post.width), name="px")
        self.first = (self.py == 0) & (self.px == 0)
        self.last = (self.py == post.height - 1) & (self.px == post.width - 1)
        #: Addresses of rows ky and 2 py + ky of the boxes.
        self.tap_row, self.box_row = Signal(range(depth)), Signal(range(depth + 2 * self.columns))
        #: Address of the post word, and of the post group's first word.
        self.post_word, self.post_base = Signal(range(config.words(post))), Signal(range(config.words(post)))
        #: Address in the master memory.
        self.address = Signal(range(layout.master_words(config, bundle)))
