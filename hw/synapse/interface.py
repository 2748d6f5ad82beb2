"""What layers, synapse engines and the sequencer exchange: halves of sweeps, spikes, weights, drives."""

from amaranth.hdl import Cat, Mux, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import SLOTS, Config
from golden.contract.shapes import Bundle
from hw.lib.flow import Flow


class Step(data.Struct):
    """What all odd layers, or all even ones, do in one half of a sweep; the sequencer sets it.

    Stable from a half's `start`, with which it goes from layer to layer, until all neuron arrays
    are idle again.

    Snapshot and restore are bank numbers, not copies: the free phase leaves its last state in state
    bank 0, and the even layers' last spikes in a bank of their own (``keep``); the first half of
    each nudged phase reads those (``kept``), and all of its first sweep reads state bank 0.
    With fine spikes the first half of each nudged phase is silent instead.
    """

    #: Slot of the sample, 0 to `SLOTS` - 1: each slot has banks of its own in every memory.
    slot: unsigned(1)
    #: There is no sample: drives are taken, spikes are 0, nothing is stored.
    idle: unsigned(1)
    #: The first sweep of a sample: the state reads as zero.
    first: unsigned(1)
    #: There were no spikes yet, drives are zero: odd layers in the first sweep, with fine spikes of each phase.
    silent: unsigned(1)
    #: Drives are by the spikes that were kept: odd layers in the first sweep of a nudged phase.
    kept: unsigned(1)
    #: The new spikes are kept: even layers in the free phase's last sweep.
    keep: unsigned(1)
    #: State bank that is read.
    state_read: unsigned(1)
    #: State bank that is written.
    state_write: unsigned(1)
    #: The output layer is nudged.
    nudge: unsigned(1)
    #: It is nudged with -beta.
    negative: unsigned(1)
    #: The sweep is within its phase's averaging window: xi is added to the sum of the window.
    sum: unsigned(1)
    #: It is the first one there: xi replaces the old sum.
    sum_first: unsigned(1)
    #: It is the last one there, and of the phase: the sum is complete.
    sum_last: unsigned(1)


class Halves(data.Struct):
    """The two halves of sweeps that go on at once: one sample's odd layers, the other's even ones."""

    odd: Step
    even: Step

    def of(self, layer: int):
        """The half of a layer, by its index."""
        return self.odd if layer % 2 else self.even


def bank_of(target: Step):
    """Bank of the spikes, and of drives by them, that a layer reads; of `banks_of` its neighbour."""
    return Cat(target.slot, target.kept)


def bank_for(source: Step):
    """Bank where the new spikes of a layer, and drives by them, are written; of `banks_of` it."""
    return Cat(source.slot, source.keep)


def banks_of(source: int, config: Config) -> int:
    """Banks of the spikes of a layer, by its index, and of drives by them: one a slot, and one a
    slot for those that are kept, which are even layers' alone. Deviations begin without spikes: none is kept."""
    return SLOTS if source % 2 or config.spec.schedule.fine else 2 * SLOTS


def spike_word(words, lanes, bits=1):
    """A word of new spikes and where it belongs in its layer. bits: `Spec.spike_bits`, of each lane."""
    return data.StructLayout({"address": unsigned(bits_for(words - 1)), "spikes": unsigned(lanes * bits)})


def spikes_of(config: Config, layer):
    """`spike_word` of a layer."""
    return spike_word(config.words(layer), config.lanes[layer.index], config.spec.spike_bits)


def weighed(spike, weight):
    """spike * weight as a pair (term, carry) for `hw.lib.adder_tree.carry_tree`.

    A spike of -1, which has two bits, gives the weight's complement and a carry. That takes a third of the
    cells that negating each weight would.
    """
    if len(spike) == 1:
        return Mux(spike, weight, 0), None
    negative = spike[1].replicate(len(weight)).as_signed()
    return Mux(spike[0], weight ^ negative, 0), spike[0] & spike[1]


def drive(config: Config, layer):
    """One word of phi: `Layer.phi_bits` wide lanes, LSB 2^-9."""
    return data.ArrayLayout(signed(layer.phi_bits), config.lanes[layer.index])


def tile(config: Config, bundle: Bundle):
    """One word of working weights; lane (pre lane) * (post lanes) + (post lane)."""
    lanes = config.lanes[bundle.index] * layout.tile_rows(config, bundle)
    return data.ArrayLayout(signed(config.spec.formats.weight_bits), lanes)


#: Banks of static drives: for both samples that step, and for the next one.
STATIC_BANKS = SLOTS + 1


class StaticSignature(wiring.Signature):
    """Interface of the engines on the image, which compute their drives once a sample and replay them in each
    sweep.

    Written from the engine's side.

    Members
    -------
    start : In(1), write_bank : In(range(STATIC_BANKS))
        One cycle; ignored while busy. The bank gets the drives, and must stay until these are there.
    busy : Out(1)
        High from the cycle after ``start`` until all drives are in the static memory.
    pixel_address : Out
        Address in the image, in raster order, channel after channel.
    pixel : In
        The pixel at the address of the cycle before.
    tile_address : Out
        Address in the working memory.
    tile : In(tile)
        The word at the address of the cycle before.
    replay : In(1), read_bank : In(range(STATIC_BANKS))
        One cycle: sends the drives of all words once, in order, of a bank that is complete.
    forward : Out(stream.Signature(drive(post)))
        The first drive leaves two cycles after ``replay``.
    """

    def __init__(self, config: Config, bundle: Bundle):
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "pixel_address": Out(bits_for(bundle.pre.neurons - 1)),
                "pixel": In(config.spec.formats.pixel_bits),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "write_bank": In(range(STATIC_BANKS)),
                "replay": In(1),
                "read_bank": In(range(STATIC_BANKS)),
                "forward": Out(stream.Signature(drive(config, bundle.post))),
            }
        )


class SynapseSignature(wiring.Signature):
    """Written from the engine's side. Every engine but the image's obeys it, with equal drives.

    In each half, one word of `forward` for each word of the post layer and one word of `backward`
    for each word of the pre layer leave in order. An engine buffers its drives whole: it never
    waits for a consumer while it computes, so layers and bundles can't deadlock whatever order they
    finish in.

    Members
    -------
    pre_step, post_step : In(Step)
        What the layers below and above do in the half that `start` starts.
    start : In(1)
        One cycle; all drives of the half before have been taken by then, and all of its spikes have come. No spike of the new
        half comes before drives of it have been taken.
    busy : Out(1)
        The next half must not start. While this is low, an engine may still work on spikes of this half: it
        then delays the next half by itself.
    prepare : In(1)
        One cycle after a commit: the engine makes what it derives from the weights.
    preparing : Out(1)
        High from the cycle after ``prepare`` until that is done.
    pre_spikes : In(Flow(spike_word))
        New spikes of the pre layer, for the next half.
    post_spikes : In(Flow(spike_word))
        New spikes of the post layer, for the next half.
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
                "pre_step": In(Step),
                "post_step": In(Step),
                "start": In(1),
                "busy": Out(1),
                "prepare": In(1),
                "preparing": Out(1),
                "pre_spikes": In(Flow(spikes_of(config, pre))),
                "post_spikes": In(Flow(spikes_of(config, post))),
                "tile_address": Out(bits_for(layout.tiles(config, bundle) - 1)),
                "tile": In(tile(config, bundle)),
                "forward": Out(stream.Signature(drive(config, post))),
                "backward": Out(stream.Signature(drive(config, pre))),
            }
        )
