"""The interface of the equilibrium-propagation update engines, one for each bundle, and its word layouts."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.lib.flow import Flow


def sums_word(config: Config, layer: Layer):
    """Return the layout of a word of window sums of xi, LSB 2^-8.

    ``plus`` is the sum of the +beta phase, ``minus`` that of the -beta phase. With fine spikes a word has
    instead (`golden.model.ops.deviation_sums`) ``mean``, the window sum of xi averaged over both nudged
    phases, and ``difference``, +beta minus -beta, in units of the layer's fine spikes or, for the bundle
    above, of the next layer's.
    """
    if config.spec.schedule.fine:
        kept = data.ArrayLayout(signed(config.spec.sum_bits + 2), config.lanes[layer.index])
        return data.StructLayout({"mean": kept, "difference": kept})
    lanes = data.ArrayLayout(unsigned(config.spec.sum_bits), config.lanes[layer.index])
    return data.StructLayout({"plus": lanes, "minus": lanes})


def factors(config: Config):
    """Return the fields (pre, post) of `sums_word` for both products of a weight's update, and the second
    one's sign: g = pre.plus post.plus - pre.minus post.minus, or with fine spikes g = pre.mean
    post.difference + pre.difference post.mean."""
    if config.spec.schedule.fine:
        return (("mean", "difference"), ("difference", "mean")), 1
    return (("plus", "plus"), ("minus", "minus")), -1


def pre_word(config: Config, bundle: Bundle):
    """Return the layout of a word that an update engine reads from its pre layer: window sums, or a pixel."""
    if bundle.on_image:
        return data.StructLayout({"pixel": config.spec.formats.pixel_bits})
    return sums_word(config, bundle.pre)


def pre_fields(config: Config, bundle: Bundle) -> tuple[str, str]:
    """Return the fields of `pre_word` for both products of a weight; on the image both are the pixel."""
    return ("pixel", "pixel") if bundle.on_image else tuple(pre for pre, _ in factors(config)[0])


def update_word(config: Config, bundle: Bundle):
    """Return the layout of the updates of one master word, LSB 2^-15, within +-`Formats.update_bound`."""
    bound = config.spec.formats.update_bound
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "update": data.ArrayLayout(signed(bits_for(bound) + 1), config.lanes[bundle.index]),
        }
    )


class UpdateSignature(wiring.Signature):
    """Interface of an update engine; directions are those of the engine's side.

    Members
    -------
    start : In(1)
        One-cycle pulse, while not ``busy``: begins a pass over all weights and biases.
    busy : Out(1)
        High from the cycle after ``start`` until the last update has been sent.
    pre_address : Out
        Address of a word of the pre layer's window sums, or of a pixel.
    pre : In(pre_word)
        The word at the address of the previous cycle.
    post_address : Out
        Address of a word of the post layer's window sums.
    post : In(sums_word)
        The word at the address of the previous cycle.
    weight_rate : In
        Learning rate of the weights, LSB 2^-18; stable while ``busy``.
    bias_rate : In
        Learning rate of the biases, LSB 2^-18; stable while ``busy``.
    updates : Out(Flow(update_word))
        One update for each word of weights and biases in the master memory; each address once.
    """

    def __init__(self, config: Config, bundle: Bundle):
        rate = config.spec.formats.rate_bits
        super().__init__(
            {
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
