"""Interfaces between layers, synapse engines and the sequencer: halves of sweeps, spikes, weights, drives."""

from amaranth.hdl import Cat, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.flow import Flow


class Step(data.Struct):
    """Controls of all odd layers, or of all even layers, in one half of a sweep; set by the sequencer.

    Stable from the half's `start`, with which it travels from layer to layer, until all neuron arrays
    are idle again.

    Snapshot and restore are bank numbers, not copies. The free phase leaves its last state in state
    bank 0, and the even layers' last spikes in a bank of their own (``keep``). The first half of
    each nudged phase reads these spikes (``kept``), and all of its first sweep reads state bank 0.
    With fine spikes the first half of each nudged phase has no spikes instead.
    """

    #: Slot of the sample, 0 to `Config.slots` - 1; each slot has its own banks in every memory.
    slot: unsigned(1)
    #: No sample steps here: drives are taken, spikes are 0, nothing is stored. With one slot ``first`` and
    #: ``silent`` are also set, and the neighbours' memories, which have no other bank, don't store these
    #: spikes.
    idle: unsigned(1)
    #: First sweep of a sample: the state reads as zero.
    first: unsigned(1)
    #: Drives are zero: odd layers in a sample's first sweep, with fine spikes in each phase's first.
    silent: unsigned(1)
    #: Drives come from the kept spikes: odd layers in the first sweep of a nudged phase.
    kept: unsigned(1)
    #: The new spikes are kept: even layers in the free phase's last sweep.
    keep: unsigned(1)
    #: State bank to read.
    state_read: unsigned(1)
    #: State bank to write.
    state_write: unsigned(1)
    #: Nudged phase: the output layer is nudged.
    nudge: unsigned(1)
    #: The nudge is -beta.
    negative: unsigned(1)
    #: The sweep is in its phase's averaging window: xi is added to the window sum.
    sum: unsigned(1)
    #: First sweep of the window: xi replaces the old sum.
    sum_first: unsigned(1)
    #: Last sweep of the phase, and so of the window: the sum is complete.
    sum_last: unsigned(1)


class Halves(data.Struct):
    """The concurrent halves: one sample's odd layers, the other's even ones. With one slot either is idle."""

    odd: Step
    even: Step

    def of(self, layer: int):
        """Return the `Step` of a layer, given its index."""
        return self.odd if layer % 2 else self.even


def slot_bits(slot, slots: int) -> list:
    """Return a slot's bits in an address or in the number of a bank: none if there is one slot."""
    return [slot] if slots > 1 else []


def bank_of(target: Step, slots: int):
    """Return the bank that a layer reads, of its neighbour's spikes or of the drives computed from them: one
    of `banks_of` the neighbour."""
    return Cat(*slot_bits(target.slot, slots), target.kept)


def bank_for(source: Step, slots: int):
    """Return the bank for a layer's new spikes, or drives computed from them: one of `banks_of` the layer."""
    return Cat(*slot_bits(source.slot, slots), source.keep)


def banks_of(source: int, config: Config) -> int:
    """Return the number of banks of a layer's spikes, and of the drives computed from them, given its index:
    one for each slot, and in even layers another for each slot's kept spikes. With fine spikes none are kept,
    since deviations begin without spikes."""
    return config.slots if source % 2 or config.spec.schedule.fine else 2 * config.slots


def spike_word(words, lanes, bits=1):
    """Return the layout of a word of new spikes and its address in the layer. bits: `Spec.spike_bits`."""
    return data.StructLayout({"address": unsigned(bits_for(words - 1)), "spikes": unsigned(lanes * bits)})


def spikes_of(config: Config, layer):
    """Return the `spike_word` of a layer."""
    return spike_word(config.words(layer), config.lanes[layer.index], config.spec.spike_bits)


def weighed(spike, weight):
    """Return spike * weight as a pair (term, carry) for `hw.lib.adder_tree.carry_tree`.

    spike: one bit, or two (bit 0: *spike*, bit 1: *negative*). A spike of -1 gives the weight's complement
    and a carry, which takes a third of the cells of negating each weight.
    """
    if len(spike) == 1:
        return Mux(spike, weight, 0), None
    negative = spike[1].replicate(len(weight)).as_signed()
    return Mux(spike[0], weight ^ negative, 0), spike[0] & spike[1]


def drive(config: Config, layer):
    """Return the layout of a word of drives: lanes of `Layer.phi_bits`, LSB 2^-9."""
    return data.ArrayLayout(signed(layer.phi_bits), config.lanes[layer.index])


def tile(config: Config, bundle: Bundle):
    """Return the layout of a word of working weights; lane = (pre lane) * (post lanes) + (post lane)."""
    lanes = config.lanes[bundle.index] * layout.tile_rows(config, bundle)
    return data.ArrayLayout(signed(config.spec.formats.weight_bits), lanes)


def static_banks(config: Config) -> int:
    """Return the number of banks of static drives: one for each stepping sample, one for the next sample."""
    return config.slots + 1


class StaticSignature(wiring.Signature):
    """Interface of the engines on the image, which compute their drives once a sample and replay them in each
    sweep. Directions are those of the engine's side.

    Members
    -------
    start : In(1), write_bank : In(range(static_banks))
        One-cycle pulse, ignored while ``busy``: computes the drives and stores them in ``write_bank``, which
        must be stable until they are stored.
    busy : Out(1)
        High from the cycle after ``start`` until all drives are in the static memory.
    pixel_address : Out
        Address in the image, in raster order, one channel after another.
    pixel : In
        The pixel at the address of the previous cycle.
    tile_address : Out
        Address in the working memory.
    tile : In(tile)
        The word at the address of the previous cycle.
    replay : In(1), read_bank : In(range(static_banks))
        One-cycle pulse: sends all words of ``read_bank``, which must be complete, once and in order.
    forward : Out(stream.Signature(drive(post)))
        Static drives; the first word is sent two cycles after ``replay``.
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
                "write_bank": In(range(static_banks(config))),
                "replay": In(1),
                "read_bank": In(range(static_banks(config))),
                "forward": Out(stream.Signature(drive(config, bundle.post))),
            }
        )


class SynapseSignature(wiring.Signature):
    """Interface of all engines except the image's; all of them send equal drives. Directions are those of the
    engine's side.

    In each half the engine sends, in order, one word of `forward` for each word of the post layer and one
    word of `backward` for each word of the pre layer. It buffers all drives of a half, so it never waits
    for a consumer while it computes, and layers and bundles can't deadlock in whatever order they finish.

    Members
    -------
    pre_step, post_step : In(Step)
        Controls of the layers below and above in the half that `start` begins.
    start : In(1)
        One-cycle pulse. By then all drives of the previous half have been taken and all of its spikes have
        arrived. No spike of the new half arrives before drives of that half have been taken.
    busy : Out(1)
        High while the next half must not start. While it is low, the engine may still process spikes of this
        half; it then delays the next half itself.
    prepare : In(1)
        One-cycle pulse after a commit: the engine recomputes the values that it derives from the weights.
    preparing : Out(1)
        High from the cycle after ``prepare`` until that is done.
    pre_spikes : In(Flow(spike_word))
        New spikes of the pre layer, for the next half.
    post_spikes : In(Flow(spike_word))
        New spikes of the post layer, for the next half.
    tile_address : Out
        Address in the working memory.
    tile : In(tile)
        The word at the address of the previous cycle.
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


def put_off(m, pulse, working, name: str):
    """Delay a pulse to the first cycle in which ``working`` is low. Return the delayed pulse, and a signal
    that is high while it waits."""
    later, waits = Signal(name=name), Signal(name=f"{name}_waits")
    m.d.comb += later.eq((pulse | waits) & ~working)
    m.d.sync += waits.eq((pulse | waits) & working)
    return later, waits
