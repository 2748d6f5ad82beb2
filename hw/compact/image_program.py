"""The states of the compact core's program that process an image: boxes, then static drives.

Boxes are stored in two memories, because the other factor is in `high` for a static drive, and in `left`
and `right` for an update. Afterwards the image isn't read any more. One function for each group of states;
`program` describes the conventions.
"""

from .datapath import Datapath


def make_boxes(m, datapath: Datapath):
    """Read two pixels of each column, upper then lower, and store the boxes. 2 cycles a column."""
    counters, boxes = datapath.counters, datapath.boxes
    with m.State("UPPER-PIXEL"):
        m.d.comb += datapath.left.write(datapath.map.left_boxes, counters.n, boxes.box)
        m.d.comb += datapath.parameters.write_low(datapath.map.low_boxes, counters.n, boxes.box)
        m.d.comb += boxes.lower_came.eq(1)
        # Also clear the outputs' drives, which a reset within a sweep leaves; o runs over all outputs.
        m.d.comb += datapath.synapses.clear()
        m.next = "LOWER-PIXEL"
        with m.If(boxes.done):
            m.d.sync += [counters.n.eq(0), counters.weight.eq(0)]
            m.next = "TAP"
    with m.State("LOWER-PIXEL"):
        m.d.comb += [boxes.lower.eq(1), boxes.upper_came.eq(1)]
        m.d.sync += counters.n.eq(counters.next_n)
        m.d.sync += counters.o.eq(counters.o + 1)
        with m.If(boxes.inside):
            m.d.sync += counters.weight.eq(counters.weight + 1)
        m.next = "UPPER-PIXEL"


def multiply_taps(m, datapath: Datapath):
    """Multiply weights by boxes, for a neuron's static drive. 1 cycle a tap, and 2 in LAST-PRODUCTS."""
    counters = datapath.counters
    with m.State("TAP"):
        m.d.comb += datapath.left.read(datapath.map.left_boxes, counters.box)
        m.d.comb += datapath.box_products.issue.eq(1)
        m.d.sync += counters.weight.eq(counters.weight + 1)
        counters.next_tap()
        with m.If(counters.last_tap):
            m.next = "LAST-PRODUCTS"


def store_static_drive(m, datapath: Datapath):
    """Store the rounded sum; continue with the next neuron, or with the next channel. 1 cycle."""
    counters, total, spec = datapath.counters, datapath.box_products.sum, datapath.spec
    with m.State("STATIC"):
        drive = total >> spec.static_shift
        m.d.comb += datapath.parameters.write_low(datapath.map.static_drives, counters.n, drive)
        m.d.sync += [total.eq(datapath.static_half), counters.n.eq(counters.next_n)]
        counters.next_position()
        m.next = "TAP"
        with m.If(~counters.last_position):
            m.d.sync += counters.weight.eq(counters.channel_weight)
        with m.Else():
            # `weight` is at the next channel's first tap.
            m.d.sync += counters.channel_weight.eq(counters.weight)
            m.d.sync += counters.c.eq(counters.c + 1)
            with m.If(counters.last_channel):
                m.next = "IDLE"
