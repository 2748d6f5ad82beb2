"""The compact core's program: one state machine, with one state in each cycle.

A state sets control signals of the `Datapath` and registers, and selects the next state. A word that a state
reads from a memory is valid in the next state. Each function builds a group of states: IDLE and the commit
here, the others in `image_program`, `step_program` and `update_program`.

========================= ======================================================================
phase                     cycles
========================= ======================================================================
boxes                     1,729: 2 for each of 32 columns in 27 rows; and 1
static drives             for each neuron of layer 1: 1 for each tap, and 3 (12 for a 3x3 kernel)
sweep                     2; for each neuron of layer 1: 3, 1 for each output that spiked in the
                          previous sweep, and if it spikes 1 for each output; for each output: 5;
                          in the averaging window 1 more for each neuron
update, image weights     for each weight: 1 for each position of the map, and 5 (174 for 13x13)
update, biases of layer 1 for each bias: the same
update, dense weights     2 for each weight, and 5
update, output biases     6 for each bias
commit                    2 for each parameter
========================= ======================================================================

In addition `sequencer` takes 2 cycles to start each of these, 1 for each phase of sweeps, and 1 at the end of
a sample.
"""

from amaranth.hdl import Mux

from .datapath import Datapath
from .image_program import make_boxes, multiply_taps, store_static_drive
from .step_program import add_backward, add_forward, add_to_window_sum, fetch_neuron, fire
from .update_program import correlate_with_boxes, learn, learn_dense


def add_program(m, datapath: Datapath, sequencer):
    """Build the state machine into ``m``. Return a signal that is high in every state except IDLE."""
    with m.FSM() as fsm:
        running = ~fsm.ongoing("IDLE")
        wait_for_start(m, datapath, sequencer)
        # an image
        make_boxes(m, datapath)
        multiply_taps(m, datapath)
        store_static_drive(m, datapath)
        # a sweep
        fetch_neuron(m, datapath)
        add_backward(m, datapath)
        fire(m, datapath)
        add_to_window_sum(m, datapath)
        add_forward(m, datapath)
        # the update
        correlate_with_boxes(m, datapath)
        learn(m, datapath)
        learn_dense(m, datapath)
        commit(m, datapath)
    return running


def wait_for_start(m, datapath: Datapath, sequencer):
    """Build IDLE: reset the counters, give the host access to the masters, and wait for a start pulse."""
    counters, parameters, core = datapath.counters, datapath.parameters, datapath.core
    with m.State("IDLE"):
        m.d.sync += counters.restart()
        m.d.sync += counters.of_image.eq(~sequencer.step_start)
        m.d.sync += counters.updating.eq(sequencer.update_start)
        first = Mux(sequencer.update_start, 0, datapath.static_half)
        m.d.sync += datapath.box_products.sum.eq(first)
        m.d.comb += parameters.read(core.address, core.bundle == 0)
        m.d.comb += parameters.write(core.write_data, when=core.write & ~core.busy)
        with m.If(sequencer.step_start):
            m.next = "FETCH-NEURON"
        with m.Elif(sequencer.commit_start):
            m.next = "COMMIT-READ"
        with m.Elif(sequencer.image_start):
            m.next = "UPPER-PIXEL"
        with m.Elif(sequencer.update_start):
            m.next = "POSITION"


def commit(m, datapath: Datapath):
    """Clip each master and store it with its working copy: the image bundle's, then the dense bundle's.

    2 cycles for each parameter.
    """
    counters, learning = datapath.counters, datapath.learning
    with m.State("COMMIT-READ"):
        m.next = "COMMIT-WRITE"
    with m.State("COMMIT-WRITE"):
        m.d.comb += datapath.parameters.write(learning.clipped, learning.working_weight)
        m.d.sync += counters.weight.eq(counters.weight + 1)
        m.next = "COMMIT-READ"
        with m.If(counters.at_bias):
            m.d.comb += learning.keep_bias.eq(1)
            m.d.sync += counters.bias_at.eq(counters.bias_at + 1)
        with m.If(counters.last_parameter):
            m.d.sync += [counters.weight.eq(0), counters.of_image.eq(0)]
            with m.If(~counters.of_image):
                m.next = "IDLE"
