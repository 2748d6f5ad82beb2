"""What the sequencer tells every engine and neuron array about the time step that it starts."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

#: Banks of a spike buffer. The spikes at the end of the free phase stay in one while both nudged phases use the others.
SPIKE_BANKS = 3


class Step(data.Struct):
    """Stable from a step's `start`, with which it goes from layer to layer, until all neuron arrays are idle again.

    Snapshot and restore are bank numbers, not copies: the free phase leaves its last state in state bank 0 and its last
    spikes in one spike bank; the first step of each nudged phase reads those and writes elsewhere.
    """

    #: All states and spikes read as zero: the first step of a sample.
    first: unsigned(1)
    spike_read: unsigned(2)
    spike_write: unsigned(2)
    state_read: unsigned(1)
    state_write: unsigned(1)
    #: The output layer is nudged, with -beta if `negative`.
    nudge: unsigned(1)
    negative: unsigned(1)
    #: xi counts for the window sum of this phase; in the window's first step it replaces the old sum.
    sum: unsigned(1)
    sum_first: unsigned(1)


def spike_word(words, lanes):
    """A word of new spikes and where it belongs in its layer."""
    return data.StructLayout({"address": unsigned(bits_for(words - 1)), "spikes": unsigned(lanes)})
