"""The compact core's loop counters, flags, and the address of the current box."""

from amaranth.hdl import Cat, Mux, Signal

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config

from .memory_map import BOX_ROWS, BOX_STRIDE, FIRST_BOX, MemoryMap


class LoopCounters:
    """The current neuron, position, tap and parameter.

    Registers, which the program sets, and values derived from them. `next_position` and `next_tap`
    advance the loops over a map and a kernel.
    """

    def __init__(self, m, config: Config, memory_map: MemoryMap):
        self.m, spec = m, config.spec
        image, dense = spec.bundles
        pre, post = spec.layers[1], spec.layers[2]
        self.width = pre.width
        neuron_bits = memory_map.decoders.index_bits
        image_words = layout.master_words(config, image)

        #: Neuron number: those of layer 1 in the order channel, y, x; then the outputs.
        self.n = Signal(neuron_bits)
        #: n + 1.
        self.next_n = Signal(neuron_bits)
        m.d.comb += self.next_n.eq(self.n + 1)
        #: First neuron of channel c, in the update.
        self.channel_n = Signal(neuron_bits)
        #: Number of the output.
        self.o = Signal(range(post.neurons))
        #: Position in the map of layer 1.
        self.x = Signal(range(pre.width))
        self.y = Signal(range(pre.height))
        #: Channel of layer 1.
        self.c = Signal(range(pre.channels))
        #: Tap (ky, kx) of the image's kernel; kx counts from FIRST_BOX.
        self.kx = Signal(range(FIRST_BOX + image.kernel), init=FIRST_BOX)
        self.ky = Signal(range(image.kernel))
        #: Number of the parameter within its bundle, in the order of the masters: weights, then biases.
        self.weight = Signal(memory_map.parameters.index_bits)
        #: First weight of channel c, for the static drives.
        self.channel_weight = Signal(range(image_words))
        #: Address at which a commit stores the next working bias.
        self.bias_at = Signal(range(pre.channels + post.neurons))
        #: The parameter belongs to the image bundle, else to the dense one.
        self.of_image = Signal()
        #: The neuron is an output, else in layer 1. In the update: the bundle is the dense one.
        self.outputs = Signal()
        #: The update processes biases, else weights.
        self.biases = Signal()
        #: The update of every dense weight has begun.
        self.all_dense = Signal()
        #: Products with boxes are for the update, else for the static drives.
        self.updating = Signal()

        # -- derived values
        #: x is the last one of its row, (y, x) of the map, kx of its row, (ky, kx) of the kernel.
        self.last_x = self.x == pre.width - 1
        self.last_position = Signal()
        self.last_kx, last_ky = self.kx == FIRST_BOX + image.kernel - 1, self.ky == image.kernel - 1
        self.last_tap = self.last_kx & last_ky
        #: c is the last channel; o is the last output.
        self.last_channel = Signal()
        self.last_output = Signal()
        m.d.comb += [
            self.last_position.eq(self.last_x & (self.y == pre.height - 1)),
            self.last_channel.eq(self.c == pre.channels - 1),
            self.last_output.eq(self.o == post.neurons - 1),
        ]
        #: Neuron number of output o.
        self.output_n = pre.neurons + self.o
        #: `at_bias`: `weight` is the number of a bias. `last_parameter`: it is the last one of its bundle.
        weights = [layout.weight_words(config, bundle) for bundle in (image, dense)]
        words = [layout.master_words(config, bundle) for bundle in (image, dense)]
        self.at_bias = self.weight >= Mux(self.of_image, *weights)
        self.last_parameter = self.weight == Mux(self.of_image, *words) - 1
        #: Number of the box at position (y, x) and tap (ky, kx): row 2y + ky, column 2x + kx in memory.
        column, row = Signal(range(BOX_STRIDE)), Signal(range(BOX_ROWS))
        m.d.comb += [column.eq((self.x << 1) + self.kx), row.eq((self.y << 1) + self.ky)]
        self.box = Cat(column, row)

    def restart(self):
        """Return the statements for `m.d.sync` that reset all but `of_image` and `updating`."""
        neuron = (self.n, self.channel_n, self.o, self.x, self.y, self.c, self.outputs)
        tap = (self.kx, self.ky)
        parameter = (self.weight, self.channel_weight, self.biases, self.all_dense, self.bias_at)
        return [counter.eq(counter.init) for counter in (*neuron, *tap, *parameter)]

    def next_position(self):
        """Advance (y, x), at the end of this cycle, to the next position; the first follows the last."""
        m = self.m
        m.d.sync += self.x.eq(self.x + 1)
        with m.If(self.last_x):
            m.d.sync += [self.x.eq(0), self.y.eq(self.y + 1)]
        with m.If(self.last_position):
            m.d.sync += self.y.eq(0)

    def next_tap(self):
        """Advance (ky, kx), at the end of this cycle, to the next tap; the first follows the last."""
        m = self.m
        m.d.sync += self.kx.eq(self.kx + 1)
        with m.If(self.last_kx):
            m.d.sync += [self.kx.eq(FIRST_BOX), self.ky.eq(Mux(self.last_tap, 0, self.ky + 1))]
