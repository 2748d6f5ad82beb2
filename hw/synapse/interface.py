"""What layers, synapse engines and the sequencer exchange: steps, spikes, weights, drives."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.flow import Flow

#: Banks of a spike buffer. The spikes at the end of the free phase stay in one while both nudged
#: phases use the others.
SPIKE_BANKS = 3


class Step(data.Struct):
    """What the sequencer tells every engine and neuron array about the time step that it starts.

    Stable from a step's `start`, with which it goes from layer to layer, until all neuron arrays
    are idle again.

    Snapshot and restore are bank numbers, not copies: the free phase leaves its last state in state
    bank 0 and its last spikes in one spike bank; the first step of each nudged phase reads those
    and writes elsewhere.
    """

    #: All states and spikes read as zero: the first step of a sample.
    first: unsigned(1)
    #: Spike bank that the step before wrote.
    spike_read: unsigned(2)
    #: Spike bank that gets the new spikes.
    spike_write: unsigned(2)
    #: State bank that is read.
    state_read: unsigned(1)
    #: State bank that is written.
    state_write: unsigned(1)
    #: The output layer is nudged.
    nudge: unsigned(1)
    #: It is nudged with -beta.
    negative: unsigned(1)
    #: The step is within its phase's averaging window: xi is added to the sums of the window.
    sum: unsigned(1)
    #: It is the first one there: xi replaces the old sum.
    sum_first: unsigned(1)


def spike_word(words, lanes):
    """A word of new spikes and where it belongs in its layer."""
    return data.StructLayout({"address": unsigned(bits_for(words - 1)), "spikes": unsigned(lanes)})


def drive(config: Config, layer):
    """One word of phi: `Layer.phi_bits` wide lanes, LSB 2^-9."""
    return data.ArrayLayout(signed(layer.phi_bits), config.lanes[layer.index])


def tile(config: Config, bundle: Bundle):
    """One word of working weights; lane (pre lane) * (post lanes) + (post lane)."""
    lanes = config.lanes[bundle.index] * layout.tile_rows(config, bundle)
    return data.ArrayLayout(signed(config.spec.formats.weight_bits), lanes)


class SynapseSignature(wiring.Signature):
    """Written from the engine's side. Every engine but the image's obeys it, with equal drives.

    In each step, one word of `forward` for each word of the post layer and one word of `backward`
    for each word of the pre layer leave in order. An engine buffers its drives whole: it never
    waits for a consumer while it computes, so layers and bundles can't deadlock whatever order they
    finish in.

    Members
    -------
    step : In(Step)
        The step that `start` starts.
    start : In(1)
        One cycle; all drives of the step before have been taken by then.
    busy : Out(1)
        Spikes of this step are still being worked on: the next step must not start.
    prepare : In(1)
        One cycle after a commit: the engine makes what it derives from the weights.
    preparing : Out(1)
        High from the cycle after ``prepare`` until that is done.
    pre_spikes : In(Flow(spike_word))
        New spikes of the pre layer, for the next step.
    post_spikes : In(Flow(spike_word))
        New spikes of the post layer, for the next step.
    tile_address : Out
        Address in the working memory.
    tile : In(tile)
        The word at the address of the cycle before.
    forward : Out(stream.Signature(drive(post)))
        Exact drives of the post layer.
    backward : Out(stream.Signature(drive(pre)))
        Exact drives of the pre layer.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        pre, post = bundle.pre, bundle.post
        super().__init__(
            {
                "step": In(Step),
                "start": In(1),
                "busy": Out(1),
                "prepare": In(1),
                "preparing": Out(1),
                "pre_spikes": In(Flow(spike_word(config.words(pre), config.lanes[pre.index]))),
                "post_spikes": In(Flow(spike_word(config.words(post), config.lanes[post.index]))),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "forward": Out(stream.Signature(drive(config, post))),
                "backward": Out(stream.Signature(drive(config, pre))),
            }
        )
