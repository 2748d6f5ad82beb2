"""The compact core's program: one state machine, a state a cycle.

A state sets control signals of the `Datapath` and registers, and says what comes next. What a state
reads from a memory is there in the next state. One function has the states of one phase: IDLE and
the commit here, the others in `image_program`, `step_program` and `update_program`.

========================= ======================================================================
phase                     cycles
========================= ======================================================================
boxes                     1,729: 27 rows of 32 columns, 2 each; and 1
static drives             a neuron of layer 1: 1 a tap, and 3 (12 with a kernel of 3)
sweep                     2; a neuron of layer 1: 3, one for each output that spiked in the sweep
                          before, and one for each output if it spikes; an output: 5; a neuron in
                          the window: 1 more
update, image weights     a weight: 1 a position of the map, and 5 (174 with 13 by 13)
update, biases of layer 1 a bias: the same
update, dense weights     2 a weight, and 5
update, output biases     6 a bias
commit                    2 a parameter
========================= ======================================================================

Beside these `sequencer`, which starts each, takes 2 cycles, 1 for each phase of sweeps, 1
at a sample's end.
"""

from amaranth.hdl import Mux

from .datapath import Datapath
from .image_program import make_boxes, multiply_taps, store_static_drive
from .step_program import add_backward, add_forward, add_to_window_sum, fetch_neuron, fire
from .update_program import correlate_with_boxes, learn, learn_dense


def add_program(m, datapath: Datapath, sequencer):
    """Builds the state machine into `m`. Returns whether it is running, that is, not in IDLE."""
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
    """Everything begins with the first neuron and parameter. Meanwhile the host has the masters."""
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
    """Each master clipped, and stored with its working copy: the image bundle's, then the others.

    2 cycles a parameter.
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
