"""Image engine: the static drive of layer 1, computed once per sample and replayed in each sweep."""

from contextlib import nullcontext

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import adder_tree, data_delay, delay, tree_latency
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.data_registers import data_registers
from nudge.hw.lib.line_buffer import LineBuffer, framed_word
from nudge.hw.lib.loops import counting

from .interface import StaticSignature
from .kernel_loader import KernelLoader
from .static_drives import StaticSums, static_memory


class ImageEngine(wiring.Component):
    """Pixels -> line buffer -> 2x2 sums -> products and their sum -> round half up -> static memory.

        drive[o,y,x] = rhu(sum over c, ky, kx of w[o,c,ky,kx] box[c,2y+ky,2x+kx], `Spec.static_shift`)

    box[c,y,x] is the sum of the 2x2 pixels from (y, x): the four convolution positions under a pooled
    one have the same weights, so their pixels are added before the multiplication, which leaves a
    quarter of the products. Each lane computes `Config.image_taps` products a cycle, so a pooled
    position takes ``n = ceil(k*k / image_taps)`` cycles; pixels wait for it if n > 2. The channels of
    an image are processed one after another, and a memory holds the sums meanwhile.

    Latency: the image is read once for each post group, in groups(post) * channels * (k*k + positions +
    max(n - 2, 0) * pooled positions + n + about ten) cycles a sample.
    Integer model: `golden.model.ops.static_drive`.

    Members: those of `StaticSignature`.
    """

    def __init__(self, config: Config, bundle: Bundle):
        if bundle.kind != "image":
            raise ValueError(f"ImageEngine takes an image bundle, not {bundle.kind}")
        self.config, self.bundle = config, bundle
        #: Channels of the image.
        self.channels = bundle.pre.channels
        self.taps, self.lanes = bundle.kernel**2, config.lanes[bundle.index]
        #: Taps multiplied in each cycle, per lane.
        self.at_once = min(config.image_taps, self.taps)
        #: Cycles of a pooled position, one round of `at_once` taps each.
        self.rounds = -(-self.taps // self.at_once)
        super().__init__(StaticSignature(config, bundle))

    def elaborate(self, platform):
        m = Module()
        config, bundle = self.config, self.bundle
        m.submodules.kernel = kernel = KernelLoader(config, bundle)
        m.submodules.lines = lines = LineBuffer(
            bits=config.spec.formats.pixel_bits,
            height=bundle.framed_height,
            width=bundle.framed_width,
            kernel=bundle.kernel + 1,
        )
        static = static_memory(m, self)
        m.d.comb += [self.tile_address.eq(kernel.tile_address), kernel.tile.eq(self.tile)]
        connect(m, flipped(self.forward), static.o)

        channel = Signal(range(self.channels))
        reading, completes = self._read_pixels(m, lines, channel)
        boxes, left = self._boxes(m, lines, completes)
        chosen = self._choose_weights(m, kernel, left)
        summed = self._multiply(m, boxes, chosen, left, static, channel)
        self._control(m, kernel, reading, static, channel, summed)
        return m

    def _in_last(self, m, channel):
        """Return a context for statements that hold in the image's last channel only."""
        return m.If(channel == self.channels - 1) if self.channels > 1 else nullcontext()

    def _read_pixels(self, m, lines, channel):
        """Read the pixels of a channel in raster order, with a pause after each one that completes the window
        of a pooled position.

        Return ``reading``, which the caller sets to start, and the strobe of the pixels that complete a
        window.
        """
        bundle, k = self.bundle, self.bundle.kernel
        reading, pause = Signal(), Signal(range(max(self.rounds, 2)))
        x, y = Signal(range(bundle.framed_width)), Signal(range(bundle.framed_height))
        read, completes = Signal(), Signal()
        m.d.comb += read.eq(reading & (pause == 0))
        m.d.comb += completes.eq(read & (x >= k) & (x[0] == k % 2) & (y >= k) & (y[0] == k % 2))
        inside = framed_word(m, lines, x, y, self.pixel, bundle.padding)
        m.d.sync += lines.i.valid.eq(read)
        with m.If(read):
            with m.If(inside) if bundle.padding else nullcontext():
                m.d.sync += self.pixel_address.eq(self.pixel_address + 1)
            with counting(m, x, bundle.framed_width), counting(m, y, bundle.framed_height):
                m.d.sync += reading.eq(0)
                with self._in_last(m, channel):
                    m.d.sync += self.pixel_address.eq(0)
        with m.If(completes):
            m.d.sync += pause.eq(max(self.rounds - 2, 0))
        with m.Elif(pause != 0):
            m.d.sync += pause.eq(pause - 1)
        return reading, completes

    def _boxes(self, m, lines, completes):
        """Compute the 2x2 sums of a window, one for each tap, and shift them past the multipliers.

        Return their registers, of which the first `at_once` are multiplied, and the number of rounds
        left.
        """
        k, pixel_bits = self.bundle.kernel, self.config.spec.formats.pixel_bits
        box = unsigned(pixel_bits + 2)
        count = self.rounds * self.at_once
        boxes = data_registers("box", box, count)
        loaded, left = delay(m, completes, 1 + lines.latency), Signal(range(self.rounds + 1))
        pixels = lines.o.payload
        with m.If(loaded):
            m.d.sync += left.eq(self.rounds)
            for n in range(self.taps):
                corner = n // k * (k + 1) + n % k
                upper = pixels[corner] + pixels[corner + 1]
                m.d.sync += boxes[n].eq(upper + (pixels[corner + k + 1] + pixels[corner + k + 2]))
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
            m.d.sync += [boxes[n].eq(boxes[n + self.at_once]) for n in range(count - self.at_once)]
        return boxes, left

    def _choose_weights(self, m, kernel, left):
        """Return the weights of a round's taps: `at_once` for each lane."""
        weight = signed(self.config.spec.formats.weight_bits)
        chosen = Signal(data.ArrayLayout(weight, self.lanes * self.at_once))
        for number in range(self.rounds):
            first = number * self.at_once
            with m.If(left == self.rounds - number):
                for lane in range(self.lanes):
                    for n in range(first, min(first + self.at_once, self.taps)):
                        m.d.comb += chosen[lane * self.at_once + n - first].eq(kernel.weight(n, 0, lane))
        return chosen

    def _multiply(self, m, boxes, chosen, left, static, channel):
        """Multiply a round's taps, add the products, and add up the rounds and channels.

        Return the strobe of a position's sum: all rounds of a channel are added.
        """
        at_once, sums = self.at_once, StaticSums(self, 4 * self.taps * self.channels)
        total = sums.total
        # Operands have their own registers, because multipliers lie in a few rows, far from most logic.
        latency = 2 + tree_latency(at_once)
        adding = delay(m, left != 0, latency)
        first, last = delay(m, left == self.rounds, latency), delay(m, left == 1, latency)
        kept = (
            self._keep(m, total, adding & first, delay(m, last, 1), channel)
            if self.channels > 1
            else [0] * self.lanes
        )
        factors = [data_delay(m, boxes[n]) for n in range(at_once)]
        for lane, drive in enumerate(static.i.payload.drives[0]):
            of_lane = range(lane * at_once, (lane + 1) * at_once)
            weights = [data_delay(m, chosen[n]) for n in of_lane]
            products = [box * weight for box, weight in zip(factors, weights, strict=True)]
            term = adder_tree(m, [data_delay(m, product) for product in products])
            sums.add(m, lane, adding, Mux(first, kept[lane], total[lane]), term, drive)
        summed = delay(m, last, 1)
        m.d.comb += static.i.valid.eq(
            summed if self.channels == 1 else summed & (channel == self.channels - 1)
        )
        return summed

    def _keep(self, m, total, begins, complete, channel):
        """Return, for each lane, the sum over the previous channels for the position that begins next; 0 in
        the first channel.

        begins: strobe of a position's first round; at least two cycles apart, so the next sum is read in
        time. complete: strobe of the position's sum in ``total``.
        """
        positions = self.bundle.post.positions
        m.submodules.sums = memory = BlockMemory(shape=total.shape(), depth=positions)
        read, write = memory.read_port(), memory.write_port()
        for address, strobe in ((read.addr, begins), (write.addr, complete)):
            at = Signal.like(address)
            m.d.comb += address.eq(at)
            with m.If(strobe):
                m.d.sync += at.eq(Mux(at == positions - 1, 0, at + 1))
        m.d.comb += [write.data.eq(total), write.en.eq(complete)]
        return [Mux(channel == 0, 0, read.data[lane]) for lane in range(self.lanes)]

    def _control(self, m, kernel, reading, static, channel, summed):
        """Build the state machine: for each post group and each channel of the image, load the kernels, then
        stream the pixels."""
        post, groups = self.bundle.post, self.config.groups(self.bundle.post)
        group, done = Signal(range(groups)), Signal(range(post.positions + 1))
        word = Signal.like(static.i.payload.address)
        if self.channels == 1:
            with m.If(static.i.valid):
                m.d.sync += [word.eq(word + 1), done.eq(done + 1)]
        else:
            with m.If(summed):
                m.d.sync += done.eq(done + 1)
            with m.If(static.i.valid):
                m.d.sync += word.eq(word + 1)
        m.d.comb += static.i.payload.address.eq(word)

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with kernel.for_each_tile(
                m,
                start=self.start,
                begin=[group.eq(0), word.eq(0)],
                load=[done.eq(0)],
                run=[("sync", reading.eq(1))],
                done=(done == post.positions) & ~reading,
            ):
                if self.channels > 1:
                    m.d.sync += channel.eq(Mux(channel == self.channels - 1, 0, channel + 1))
                with self._in_last(m, channel):
                    m.d.sync += group.eq(group + 1)
                    with m.If(group == groups - 1):
                        m.next = "SETTLE"
            with m.State("SETTLE"):
                m.next = "IDLE"
