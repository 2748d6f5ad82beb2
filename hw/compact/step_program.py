"""The part of the compact core's program that takes one neuron through one sweep.

3 cycles a neuron of layer 1, 5 an output; one more in the window. Layer 1 comes first: a neuron
there takes one cycle more for each output that spiked in the sweep before, and, if it spikes
itself, one for each output. So the outputs find their drives from this sweep's spikes.

The memories have one port each, which is why d and the static drive of the *next* neuron are
fetched while this one fires::

    state      left            right                   low, high
    DECODE     read next d     read U
    INPUT      write d         read sum (-beta)        read next static drive
    FIRE       read sum        write U, or that sum    (a forward weight follows in FORWARD)
    SUM        write sum       write U, if not yet

One function for each run of states; `program` says how to read them.
"""

from amaranth.hdl import Mux

from hw.lib.bounds import bounded

from .datapath import Datapath


def fetch_neuron(m, datapath: Datapath):
    """d and drive of a neuron that none before it fetched: the first one, and each output. 2 cycles.

    A drive of an output restarts at 0 for the next sweep.
    """
    counters, neuron, synapses = datapath.counters, datapath.neuron, datapath.synapses
    with m.State("FETCH-NEURON"):
        _read_decoder(m, datapath, counters.n)
        m.d.comb += datapath.parameters.read_low(datapath.map.static_drives, counters.n)
        m.next = "LOAD"
    with m.State("LOAD"):
        m.d.sync += neuron.d.eq(_loaded_decoder(datapath))
        m.d.sync += neuron.phi.eq(datapath.parameters.static << neuron.ahead)
        m.next = "DECODE"
        with m.If(counters.outputs):
            m.d.sync += neuron.phi.eq(synapses.drive << 2 + neuron.ahead)
            m.d.comb += synapses.clear()
        with m.Elif(synapses.spiking.any):
            m.next = "BACKWARD"


def add_backward(m, datapath: Datapath):
    """The weights to outputs that spiked, onto phi; the last one is added while DECODE uses it.

    A cycle for each.
    """
    spiking = datapath.synapses.spiking
    with m.State("BACKWARD"):
        m.d.comb += datapath.parameters.read(datapath.counters.weight + spiking.output, 0)
        m.d.comb += spiking.take.eq(1)
        m.d.sync += datapath.neuron.phi.eq(datapath.neuron.drive)
        with m.If(spiking.last):
            m.next = "DECODE"


def fire(m, datapath: Datapath):
    """d, then xi, then U and the spike; beside d the product that nudges an output. 3 cycles."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    left, right, where = datapath.left, datapath.right, datapath.map
    with m.State("DECODE"):
        m.d.sync += neuron.d.eq(neuron.decoded)
        _read_decoder(m, datapath, counters.next_n)
        m.d.comb += right.read(where.membranes, counters.n, step.state_read)
        m.next = "INPUT"
    with m.State("INPUT"):
        m.d.sync += bounded(neuron.xi, neuron.clipped_xi, 0, datapath.spec.formats.one, "it is clipped")
        m.d.sync += neuron.u.eq(Mux(step.first, 0, right.data[: len(neuron.u)].as_signed()))
        m.d.comb += left.write(where.decoders, counters.n, neuron.d, bank=step.state_write)
        m.d.comb += right.read(where.minus_sums, counters.n)
        m.d.comb += datapath.parameters.read_low(datapath.map.static_drives, counters.next_n)
        m.d.sync += neuron.d.eq(_loaded_decoder(datapath))
        m.next = "FIRE"
    with m.State("FIRE"):
        m.d.comb += neuron.firing.eq(1)
        m.d.sync += neuron.phi.eq(datapath.parameters.static << neuron.ahead)
        m.d.comb += left.read(where.plus_sums, counters.n)
        with m.If(step.sum & step.negative):
            new = datapath.sum_onto(datapath.minus_sum)
            m.d.comb += right.write(where.minus_sums, counters.n, new)
        with m.Else():
            _write_membrane(m, datapath)
        with m.If(step.sum):
            m.next = "SUM"
        with m.Else():
            _leave_neuron(m, datapath)


def add_to_window_sum(m, datapath: Datapath):
    """xi onto the window sum of the phase; the output with the largest is predicted. 1 cycle."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    with m.State("SUM"):
        new, n = datapath.sum_onto(datapath.plus_sum), counters.n
        m.d.comb += datapath.left.write(datapath.map.plus_sums, n, new, when=~step.negative)
        with m.If(step.negative):
            _write_membrane(m, datapath)
        # every sweep of the free phase's window predicts: what the last one says stays
        best = (counters.o == 0) | (new > neuron.best)
        with m.If(counters.outputs & ~step.nudge & best):
            m.d.sync += [neuron.best.eq(new), datapath.core.prediction.eq(counters.o)]
        _leave_neuron(m, datapath)


def add_forward(m, datapath: Datapath):
    """The weights of a neuron that spiked, onto the outputs' drives: see `Synapses`. A cycle each."""
    counters = datapath.counters
    with m.State("FORWARD"):
        m.d.sync += datapath.synapses.forward.eq(1)
        m.d.sync += [counters.weight.eq(counters.weight + 1), counters.o.eq(counters.o + 1)]
        with m.If(counters.last_output):
            m.d.sync += counters.o.eq(0)
            _next_neuron(m, datapath)


def _read_decoder(m, datapath, n):
    decoders = datapath.map.decoders
    m.d.comb += datapath.left.read(decoders, n, datapath.step.state_read)


def _loaded_decoder(datapath):
    return Mux(datapath.step.first, 0, datapath.left.data.as_signed())


def _write_membrane(m, datapath):
    counters, bank = datapath.counters, datapath.step.state_write
    word = datapath.neuron.membrane
    m.d.comb += datapath.right.write(datapath.map.membranes, counters.n, word, bank=bank)


def _leave_neuron(m, datapath):
    """A neuron of layer 1 that spiked goes through its weights; another one leaves them behind."""
    counters = datapath.counters
    with m.If(~counters.outputs & datapath.neuron.spike):
        m.next = "FORWARD"
    with m.Else():
        m.d.sync += counters.weight.eq(counters.weight + datapath.spec.layers[2].neurons)
        _next_neuron(m, datapath)


def _next_neuron(m, datapath):
    """After the last one of layer 1 the outputs; after the last output the sweep ends."""
    counters = datapath.counters
    m.d.sync += counters.n.eq(counters.next_n)
    with m.If(counters.outputs):
        m.d.sync += counters.o.eq(counters.o + 1)
        m.next = "FETCH-NEURON"
        with m.If(counters.last_output):
            m.next = "IDLE"
    with m.Else():
        counters.next_position()
        m.next = "DECODE"
        with m.If(datapath.synapses.spiking.any):
            m.next = "BACKWARD"
        with m.If(counters.last_position):
            m.d.sync += counters.c.eq(counters.c + 1)
            with m.If(counters.last_channel):
                m.d.sync += counters.outputs.eq(1)
                m.d.comb += datapath.synapses.spiking.restart.eq(1)
                m.next = "FETCH-NEURON"
