"""The states of the compact core's program that run a sweep, neuron by neuron.

3 cycles for each neuron of layer 1, 5 for each output; one more in the averaging window. Layer 1 steps first:
a neuron there takes one more cycle for each output that spiked in the previous sweep, and, if it spikes
itself, one for each output. So when the outputs step, their drives come from this sweep's spikes.

The memories have one port each, so d and the static drive of the *next* neuron are fetched while this one
fires::

    state      left            right                   low, high
    DECODE     read next d     read U
    INPUT      write d         read sum (-beta)        read next static drive
    FIRE       read sum        write U, or that sum    (a forward weight follows in FORWARD)
    SUM        write sum       write U, if not yet

One function for each group of states; `program` describes the conventions.
"""

from amaranth.hdl import Mux

from nudge.hw.lib.bounds import bounded

from .datapath import Datapath


def fetch_neuron(m, datapath: Datapath):
    """Fetch d and drive of a neuron that weren't fetched before: the first one, each output. 2 cycles.

    The drive of an output is zeroed for the next sweep.
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
    """Add the weights to outputs that spiked to phi, one cycle each; DECODE adds and uses the last one."""
    spiking = datapath.synapses.spiking
    with m.State("BACKWARD"):
        m.d.comb += datapath.parameters.read(datapath.counters.weight + spiking.output, 0)
        m.d.comb += spiking.take.eq(1)
        m.d.sync += datapath.neuron.phi.eq(datapath.neuron.drive)
        with m.If(spiking.last):
            m.next = "DECODE"


def fire(m, datapath: Datapath):
    """Compute d and, for an output, beta * `away` (DECODE); xi (INPUT); U and spike (FIRE). 3 cycles."""
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
    """Add xi to the phase's window sum; the output with the largest free sum is the prediction. 1 cycle."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    with m.State("SUM"):
        new, n = datapath.sum_onto(datapath.plus_sum), counters.n
        m.d.comb += datapath.left.write(datapath.map.plus_sums, n, new, when=~step.negative)
        with m.If(step.negative):
            _write_membrane(m, datapath)
        # Every sweep of the free phase's window predicts; the last one's prediction remains.
        best = (counters.o == 0) | (new > neuron.best)
        with m.If(counters.outputs & ~step.nudge & best):
            m.d.sync += [neuron.best.eq(new), datapath.core.prediction.eq(counters.o)]
        _leave_neuron(m, datapath)


def add_forward(m, datapath: Datapath):
    """Add the weights of a neuron that spiked to the outputs' drives (`Synapses`), one cycle each."""
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
    """Go to FORWARD if a neuron of layer 1 spiked; else skip its weights and go to the next neuron."""
    counters = datapath.counters
    with m.If(~counters.outputs & datapath.neuron.spike):
        m.next = "FORWARD"
    with m.Else():
        m.d.sync += counters.weight.eq(counters.weight + datapath.spec.layers[2].neurons)
        _next_neuron(m, datapath)


def _next_neuron(m, datapath):
    """Go to the next neuron: after the last one of layer 1 to the outputs, after the last output to IDLE."""
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
