"""The part of the compact core's program that takes one neuron through one time step.

7 cycles a neuron; 11 more for one of layer 1 with synapses to add; 2 more in the window.
One function for each run of states; `program` says how to read them.
"""

from amaranth.hdl import Cat, Mux

from .datapath import Datapath
from .memory_map import SPIKE_BIT


def read_neuron(m, datapath: Datapath):
    """d, U, spike, drive and, of an output, the last xi; an output's forward drive restarts at 0.

    3 cycles.
    """
    counters, neuron, synapses = datapath.counters, datapath.neuron, datapath.synapses
    step, left, right = datapath.step, datapath.left, datapath.right
    with m.State("READ-STATE"):
        m.d.comb += left.read(datapath.map.decoders, counters.n, step.state_read)
        m.d.comb += right.read(datapath.map.membranes, counters.n, step.state_read)
        m.next = "READ-DRIVE"
    with m.State("READ-DRIVE"):
        m.d.comb += left.read(datapath.map.output_xi, counters.o, step.state_read)
        m.d.comb += right.read(datapath.map.static_drives, counters.n)
        membrane = right.data[: datapath.spec.membrane_bits].as_signed()
        m.d.sync += [
            neuron.d.eq(Mux(step.first, 0, left.data.as_signed())),
            neuron.u.eq(Mux(step.first, 0, membrane)),
            neuron.fired.eq(~step.first & right.data[SPIKE_BIT]),
        ]
        m.next = "DRIVE"
    with m.State("DRIVE"):
        m.d.sync += neuron.old_xi.eq(Mux(step.first, 0, left.data))
        m.d.sync += neuron.phi.eq(right.data.as_signed())
        m.next = "DECODE"
        with m.If(counters.outputs):
            m.d.sync += neuron.phi.eq(Mux(step.first, 0, synapses.drive << 2))
            m.d.comb += synapses.clear()
        with m.Elif(neuron.fired | neuron.output_spikes.any()):
            m.next = "SYNAPSE"
        with m.Else():
            # past the weights of this neuron
            m.d.sync += counters.weight.eq(counters.weight + datapath.spec.layers[2].neurons)


def add_synapses(m, datapath: Datapath):
    """A weight to each output, where the neuron or an output spiked: see `Synapses`.

    11 cycles: one an output, and one until the last weight is there.
    """
    counters = datapath.counters
    with m.State("SYNAPSE"):
        m.d.sync += [datapath.synapses.asked.eq(1), counters.weight.eq(counters.weight + 1)]
        m.d.sync += counters.o.eq(counters.o + 1)
        with m.If(counters.last_output):
            m.d.sync += counters.o.eq(0)
            m.next = "LAST-SYNAPSE"
    with m.State("LAST-SYNAPSE"):
        m.next = "DECODE"


def fire(m, datapath: Datapath):
    """d, then xi, then U and the spike; beside d the product that nudges an output. 3 cycles."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    with m.State("DECODE"):
        m.d.sync += neuron.d.eq(neuron.decoded)
        m.d.comb += datapath.multiply_add.a.eq(neuron.away)
        m.d.comb += datapath.multiply_add.b.eq(datapath.core.settings.beta)
        m.next = "INPUT"
    with m.State("INPUT"):
        m.d.sync += neuron.xi.eq(neuron.clipped_xi)
        m.next = "FIRE"
    with m.State("FIRE"):
        m.d.comb += neuron.firing.eq(1)
        where, bank = counters.n, step.state_write
        m.d.comb += datapath.left.write(datapath.map.decoders, where, neuron.d, bank=bank)
        m.d.comb += datapath.right.write(
            datapath.map.membranes, where, neuron.stored_membrane, bank=bank
        )
        m.d.sync += neuron.new_spikes.eq(Cat(neuron.new_spikes[1:], neuron.spike))
        m.next = "NEXT"
        with m.If(step.sum):
            m.next = "READ-SUM"


def add_to_window_sum(m, datapath: Datapath):
    """xi onto the window sum of the phase; the output with the largest is predicted. 2 cycles."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    with m.State("READ-SUM"):
        m.d.comb += datapath.read_sums(counters.n)
        m.next = "SUM"
    with m.State("SUM"):
        new, n = datapath.window_sum, counters.n
        m.d.comb += datapath.left.write(datapath.map.plus_sums, n, new, when=~step.negative)
        m.d.comb += datapath.right.write(datapath.map.minus_sums, n, new, when=step.negative)
        m.next = "NEXT"
        # every step of the free phase's window predicts: what the last one says stays
        best = (counters.o == 0) | (new > neuron.best)
        with m.If(counters.outputs & ~step.nudge & best):
            m.d.sync += [neuron.best.eq(new), datapath.core.prediction.eq(counters.o)]


def go_to_next_neuron(m, datapath: Datapath):
    """An output's xi is stored; after the last output the step ends. 1 cycle."""
    counters, neuron, step = datapath.counters, datapath.neuron, datapath.step
    with m.State("NEXT"):
        m.d.comb += datapath.left.write(
            datapath.map.output_xi,
            counters.o,
            neuron.xi,
            bank=step.state_write,
            when=counters.outputs,
        )
        m.d.sync += counters.n.eq(counters.n + 1)
        m.next = "READ-STATE"
        with m.If(~counters.outputs):
            counters.next_position()
            with m.If(counters.last_position):
                m.d.sync += counters.c.eq(counters.c + 1)
                with m.If(counters.last_channel):
                    m.d.sync += counters.outputs.eq(1)
        with m.Else():
            m.d.sync += counters.o.eq(counters.o + 1)
            with m.If(counters.last_output):
                for bank, kept in enumerate(neuron.kept_spikes):
                    with m.If(step.state_write == bank):
                        m.d.sync += kept.eq(neuron.new_spikes)
                m.next = "IDLE"
