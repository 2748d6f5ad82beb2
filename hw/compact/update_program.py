"""The part of the compact core's program that multiplies: static drives of an image; the update.

Both go through the same products with pixels. The update leaves g of a parameter in the sum, and
`learn` does the rest for parameters of every kind. One function for each run of states; `program`
says how to read them.
"""

from amaranth.hdl import Mux

from .datapath import LOW_BITS, SHIFT, Datapath


def multiply_pixels(m, datapath: Datapath):
    """Four pixels under a position times a weight, or times the difference of window sums there.

    Done for each tap of a neuron's static drive, or at each position for a weight's update: 5
    cycles each, and 2 at the end until the last product is added.
    """
    counters, multiply_add = datapath.counters, datapath.multiply_add
    with m.State("FETCH"):
        m.d.comb += datapath.read_sums(counters.n)
        m.next = "PIXELS"
        with m.If(counters.biases):
            m.next = "ADD-BIAS"
    with m.State("PIXELS"):
        with m.If(counters.corner == 0):
            difference = datapath.difference << datapath.shifts.image
            factor = Mux(counters.updating, difference, datapath.parameters.weight)
            m.d.sync += multiply_add.factor.eq(factor)
        m.d.comb += multiply_add.issue.eq(1)
        m.d.sync += counters.corner.eq(counters.corner + 1)
        with m.If(counters.corner == 3):
            m.next = "FETCH"
            with m.If(counters.updating):
                counters.next_position()
                m.d.sync += counters.n.eq(counters.n + 1)
                with m.If(counters.last_position):
                    m.next = "LAST-PRODUCTS"
            with m.Else():
                counters.next_tap()
                m.d.sync += counters.weight.eq(counters.weight + 1)
                with m.If(counters.last_tap):
                    m.next = "LAST-PRODUCTS"
    with m.State("LAST-PRODUCTS"):
        with m.If(multiply_add.adding & ~multiply_add.multiplying):
            m.next = "STATIC"
            with m.If(counters.updating):
                m.next = "LOW"


def store_static_drive(m, datapath: Datapath):
    """The sum, rounded, is stored; the next neuron takes the same kernel, or the next channel's.

    1 cycle.
    """
    counters, total, spec = datapath.counters, datapath.multiply_add.sum, datapath.spec
    with m.State("STATIC"):
        drive = total >> spec.static_shift
        m.d.comb += datapath.parameters.write_static(counters.n, drive)
        m.d.sync += [total.eq(datapath.static_half), counters.n.eq(counters.n + 1)]
        m.d.sync += counters.weight.eq(counters.channel_weight)
        counters.next_position()
        m.next = "FETCH"
        with m.If(counters.last_position):
            kernel = counters.channel_weight + spec.bundles[0].kernel ** 2
            m.d.sync += [counters.channel_weight.eq(kernel), counters.weight.eq(kernel)]
            m.d.sync += counters.c.eq(counters.c + 1)
            with m.If(counters.last_channel):
                m.next = "IDLE"


def sum_biases(m, datapath: Datapath):
    """g of a bias: the difference of an output's window sums, or of a channel's neurons, added.

    2 cycles a neuron, with FETCH.
    """
    counters, multiply_add = datapath.counters, datapath.multiply_add
    with m.State("ADD-BIAS"):
        m.d.comb += multiply_add.addend.eq(datapath.difference << datapath.shifts.bias)
        m.d.comb += multiply_add.accumulate.eq(1)
        m.d.sync += counters.n.eq(counters.n + 1)
        counters.next_position()
        m.next = "FETCH"
        with m.If(counters.outputs | counters.last_position):
            m.next = "LOW"


def correlate_dense(m, datapath: Datapath):
    """g of a dense weight: the product of both neurons' +beta sums less that of their -beta sums.

    2 cycles a neuron of layer 1, whose sums wait in `phi` and `d`; then 4 a weight.
    """
    counters, neuron, multiply_add = datapath.counters, datapath.neuron, datapath.multiply_add
    left, right, shift = datapath.left, datapath.right, datapath.shifts.dense
    with m.State("PRE"):
        m.d.comb += datapath.read_sums(counters.n)
        m.next = "PRE-SUMS"
    with m.State("PRE-SUMS"):
        m.d.sync += [neuron.phi.eq(left.data), neuron.d.eq(right.data)]
        m.next = "POST"
    with m.State("POST"):
        m.d.comb += datapath.read_sums(counters.output_n)
        m.next = "PLUS"
    with m.State("PLUS"):
        m.d.comb += datapath.read_sums(counters.output_n)
        m.d.comb += [multiply_add.a.eq(neuron.phi << shift), multiply_add.b.eq(left.data)]
        m.next = "MINUS"
    with m.State("MINUS"):
        m.d.comb += [multiply_add.a.eq(neuron.d << shift), multiply_add.b.eq(right.data)]
        # the product of PLUS replaces what is in the sum
        m.d.comb += [multiply_add.augend.eq(0), multiply_add.accumulate.eq(1)]
        m.next = "SUBTRACT"
    with m.State("SUBTRACT"):
        m.d.comb += [multiply_add.subtract.eq(1), multiply_add.accumulate.eq(1)]
        m.next = "LOW"


def learn(m, datapath: Datapath):
    """g times rate, in two parts, onto the master; then the next parameter.

    4 cycles.
    """
    counters, learning, multiply_add = datapath.counters, datapath.learning, datapath.multiply_add
    total = multiply_add.sum
    with m.State("LOW"):
        m.d.comb += [multiply_add.a.eq(total[:LOW_BITS]), multiply_add.b.eq(learning.rate)]
        m.next = "HIGH"
    with m.State("HIGH"):
        m.d.comb += [multiply_add.a.eq(total >> LOW_BITS), multiply_add.b.eq(learning.rate)]
        # the low part's product, and half of the last bit for rounding
        m.d.comb += [multiply_add.augend.eq(1 << (SHIFT - 1)), multiply_add.accumulate.eq(1)]
        m.next = "BOTH"
    with m.State("BOTH"):
        # what of it is above the low part, and the high part's product
        m.d.comb += [multiply_add.augend.eq(total >> LOW_BITS), multiply_add.accumulate.eq(1)]
        m.next = "LEARN"
    with m.State("LEARN"):
        m.d.comb += datapath.parameters.write(learning.learned)
        m.d.sync += [counters.weight.eq(counters.weight + 1), total.eq(0)]
        with m.If(~counters.outputs):
            _next_image_parameter(m, datapath)
        with m.Else():
            _next_dense_parameter(m, datapath)


def _next_image_parameter(m, datapath):
    """Weights of the image bundle, by channel and tap; its biases; then the dense bundle."""
    counters = datapath.counters
    m.next = "FETCH"
    with m.If(counters.biases):
        m.d.sync += counters.c.eq(counters.c + 1)
        with m.If(counters.last_channel):
            m.d.sync += [counters.n.eq(0), counters.weight.eq(0), counters.biases.eq(0)]
            m.d.sync += [counters.outputs.eq(1), counters.of_image.eq(0)]
            m.next = "PRE"
    with m.Else():
        counters.next_tap()
        m.d.sync += counters.n.eq(counters.channel_n)
        with m.If(counters.last_tap):
            channel = counters.channel_n + datapath.spec.layers[1].positions
            m.d.sync += [counters.channel_n.eq(channel), counters.n.eq(channel)]
            m.d.sync += counters.c.eq(counters.c + 1)
            with m.If(counters.last_channel):
                m.d.sync += [counters.n.eq(0), counters.c.eq(0), counters.biases.eq(1)]


def _next_dense_parameter(m, datapath):
    """Weights of the dense bundle, by neuron of layer 1 and output; then its biases."""
    counters = datapath.counters
    m.d.sync += counters.o.eq(counters.o + 1)
    m.next = "POST"
    with m.If(counters.biases):
        m.next = "FETCH"
    with m.If(counters.last_output):
        m.d.sync += [counters.o.eq(0), counters.n.eq(counters.n + 1)]
        m.next = "PRE"
        with m.If(counters.n == datapath.spec.layers[1].neurons - 1):
            # n goes on to the first output
            m.d.sync += counters.biases.eq(1)
            m.next = "FETCH"
        with m.If(counters.biases):
            m.next = "IDLE"
