"""The interface of the EP update engines, one of which belongs to each bundle."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.shapes import Bundle
from hw.core.neuron_array import sums_word
from hw.lib.flow import Flow

from .correlator import update_word


def pre_word(config: Config, bundle: Bundle):
    """What an update engine reads of its pre layer: window sums, or a pixel of the image."""
    if bundle.kind == "image":
        return data.StructLayout({"pixel": config.spec.formats.pixel_bits})
    return sums_word(config, bundle.pre)


class UpdateSignature(wiring.Signature):
    """Written from the engine's side.

    Members
    -------
    load : In(1), loading : Out(1)
        Bundle 1 only. One cycle: the engine keeps what it needs of the image, which must stay while ``loading``, from the next
        cycle on. It waits until a pass that goes on is over.
    start : In(1), busy : Out(1)
        One pass over all weights and biases of the bundle; ``busy`` falls when the last update has left. Bundle 1: not while
        ``loading``.
    pre_address, post_address : Out, pre : In(pre_word), post : In(sums_word)
        Synchronous reads of the neighbours' window sums.
    weight_rate, bias_rate : In
        LSB 2^-18.
    updates : Out(Flow(update_word))
        One for each word of the master memory, each address once.
    """

    def __init__(self, config: Config, bundle: Bundle):
        rate = config.spec.formats.rate_bits
        super().__init__(
            {
                "load": In(1),
                "loading": Out(1),
                "start": In(1),
                "busy": Out(1),
                "pre_address": Out(bits_for(config.words(bundle.pre) - 1)),
                "pre": In(pre_word(config, bundle)),
                "post_address": Out(bits_for(config.words(bundle.post) - 1)),
                "post": In(sums_word(config, bundle.post)),
                "weight_rate": In(rate),
                "bias_rate": In(rate),
                "updates": Out(Flow(update_word(config, bundle))),
            }
        )
