"""The states of the compact core's program that update the masters.

First all parameters of the image bundle, one after another; then the dense weights, in a pipeline of
three; at last the outputs' biases, one after another. Outside of the pipeline g is summed in
`BoxProducts.sum`. One function for each group of states; `program` describes the conventions.
"""

from .datapath import Datapath


def correlate_with_boxes(m, datapath: Datapath):
    """Compute g of an image weight, the sum of (plus - minus) * box, or of a bias, the sum of plus - minus.

    1 cycle for each neuron, and 2.
    """
    counters, products = datapath.counters, datapath.box_products
    with m.State("POSITION"):
        m.d.comb += datapath.read_sums(counters.n)
        m.d.comb += datapath.parameters.read_low(datapath.map.low_boxes, counters.box)
        m.d.comb += products.issue.eq(1)
        m.d.sync += counters.n.eq(counters.next_n)
        counters.next_position()
        with m.If(counters.outputs | counters.last_position):
            m.next = "LAST-PRODUCTS"
    with m.State("LAST-PRODUCTS"):
        with m.If(products.last):
            m.next = "STATIC"
            with m.If(counters.updating):
                m.next = "RATE"


def learn(m, datapath: Datapath):
    """Add the update, from g * rate, to the master; then go on with the next parameter. 3 cycles."""
    counters = datapath.counters
    with m.State("RATE"):
        m.next = "SCALE"
    with m.State("SCALE"):
        m.next = "LEARN"
    with m.State("LEARN"):
        m.d.comb += datapath.parameters.write(datapath.learning.learned)
        m.d.sync += [counters.weight.eq(counters.weight + 1), datapath.box_products.sum.eq(0)]
        m.next = "POSITION"
        with m.If(~counters.biases):
            _next_image_weight(m, datapath)
        with m.Else():
            _next_bias(m, datapath)


def _next_image_weight(m, datapath):
    """Advance to the next weight of the image bundle, by channel and tap; then to the biases."""
    counters = datapath.counters
    counters.next_tap()
    with m.If(~counters.last_tap):
        m.d.sync += counters.n.eq(counters.channel_n)
    with m.Else():
        # n is the next channel's first neuron.
        m.d.sync += [counters.channel_n.eq(counters.n), counters.c.eq(counters.c + 1)]
        with m.If(counters.last_channel):
            m.d.sync += [counters.n.eq(0), counters.c.eq(0), counters.biases.eq(1)]


def _next_bias(m, datapath):
    """Advance to the next bias: of the image bundle (after the last one go to the dense weights), or of the
    outputs (after the last one end). A bias of layer 1 has one g for all neurons of its channel."""
    counters = datapath.counters
    with m.If(~counters.outputs):
        m.d.sync += counters.c.eq(counters.c + 1)
        with m.If(counters.last_channel):
            m.d.sync += [counters.n.eq(0), counters.weight.eq(0), counters.biases.eq(0)]
            m.d.sync += [counters.outputs.eq(1), counters.of_image.eq(0)]
            m.next = "PRE"
    with m.Else():
        m.d.sync += counters.o.eq(counters.o + 1)
        with m.If(counters.last_output):
            m.next = "IDLE"


def learn_dense(m, datapath: Datapath):
    """Update the dense weights in the order neuron of layer 1, output; 2 cycles each. One cycle reads both
    window sums of the neuron (pre), one those of the output (post).

    ::

        state   sums read       products        g times rate    master
        POST    weight i: post  -               i-1: multiply   i-2: write
        PRE     i+1: pre        i: multiply     i-1: add        i-1: read

    5 more cycles: until the first sums are read, and until the last two weights are written.
    """
    counters, learning = datapath.counters, datapath.learning
    with m.State("PRE"):
        m.d.comb += datapath.read_sums(counters.n)
        m.next = "POST"
        with m.If(counters.all_dense & ~learning.under_way.any()):
            m.d.sync += counters.biases.eq(1)
            m.next = "POSITION"
    with m.State("POST"):
        m.d.comb += datapath.read_sums(counters.output_n)
        m.next = "PRE"
        # `under_way` was for weights i-2 and i-1, and is now for i-1 and i.
        m.d.sync += learning.under_way.eq(learning.under_way << 1 | ~counters.all_dense)
        with m.If(learning.under_way[1]):
            m.d.comb += datapath.parameters.write(learning.learned)
            m.d.sync += counters.weight.eq(counters.weight + 1)
        with m.If(~counters.all_dense):
            m.d.sync += counters.o.eq(counters.o + 1)
            with m.If(counters.last_output):
                m.d.sync += [counters.o.eq(0), counters.n.eq(counters.next_n)]
                # After the last neuron of layer 1, n is the first output.
                m.d.sync += counters.all_dense.eq(counters.n == datapath.spec.layers[1].neurons - 1)
