"""The interface of every synapse engine: spikes and weights in, the drives of both directions out."""

from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.lib.flow import Flow
from hw.lib.step import Step, spike_word


def drive(config: Config, layer):
    """One word of phi: `Layer.phi_bits` wide lanes, LSB 2^-9."""
    return data.ArrayLayout(signed(layer.phi_bits), config.lanes[layer.index])


def tile(config: Config, bundle: Bundle):
    """One word of working weights; lane (pre lane) * (post lanes) + (post lane)."""
    lanes = config.lanes[bundle.index] * layout.tile_rows(config, bundle)
    return data.ArrayLayout(signed(config.spec.formats.weight_bits), lanes)


class SynapseSignature(wiring.Signature):
    """Written from the engine's side. Both kinds of engine obey it, with equal drives.

    Each step, one word of `forward` per word of the post layer and one word of `backward` per word of the pre layer
    leave in order. An engine buffers its drives whole: it never waits for a consumer while it computes, so layers and
    bundles can't deadlock whatever order they finish in.

    Members
    -------
    step : In(Step), start : In(1)
        ``start`` is one cycle; all drives of the step before have been taken by then.
    busy : Out(1)
        Spikes of this step are still being worked on: the next step must not start.
    prepare : In(1), preparing : Out(1)
        One cycle after a commit, and busy from the next one on: the engine makes what it derives from the weights.
    pre_spikes, post_spikes : In(Flow(spike_word))
        New spikes of both layers, for the next step.
    tile_address : Out, tile : In(tile)
        Synchronous read of the working memory.
    forward, backward : Out(stream)
        Drives, exact.
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
