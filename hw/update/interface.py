"""The interface of the EP update engines, one for each bundle, and the words on it."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.shapes import Bundle, Layer
from hw.lib.flow import Flow


def sums_word(config: Config, layer: Layer):
    """Sums of xi over the averaging window, of one word of neurons; LSB 2^-8.

    ``plus`` is of the +beta phase, ``minus`` of the -beta phase. With fine spikes these are of deviations, and what is kept is
    what updates are made of (`golden.model.ops.deviation_sums`): ``mean``, what xi was in both phases, and ``difference``, in
    units of the spikes of the layer or, for the bundle above, of the next one.
    """
    if config.spec.schedule.fine:
        kept = data.ArrayLayout(signed(config.spec.sum_bits + 2), config.lanes[layer.index])
        return data.StructLayout({"mean": kept, "difference": kept})
    lanes = data.ArrayLayout(unsigned(config.spec.sum_bits), config.lanes[layer.index])
    return data.StructLayout({"plus": lanes, "minus": lanes})


def factors(config: Config):
    """Fields of sums words, (pre, post), of the two products that a weight's update is made of, and the second one's sign."""
    if config.spec.schedule.fine:
        return (("mean", "difference"), ("difference", "mean")), 1
    return (("plus", "plus"), ("minus", "minus")), -1


def pre_word(config: Config, bundle: Bundle):
    """What an update engine reads of its pre layer: sums, or a pixel of the image."""
    if bundle.on_image:
        return data.StructLayout({"pixel": config.spec.formats.pixel_bits})
    return sums_word(config, bundle.pre)


def pre_fields(config: Config, bundle: Bundle) -> tuple[str, str]:
    """The fields of a pre word that the two products of a weight have: of the image the same."""
    return ("pixel", "pixel") if bundle.on_image else tuple(pre for pre, _ in factors(config)[0])


def update_word(config: Config, bundle: Bundle):
    """Updates of one master word, LSB 2^-15, within +-`Formats.update_bound`."""
    bound = config.spec.formats.update_bound
    return data.StructLayout(
        {
            "address": unsigned(bits_for(layout.master_words(config, bundle) - 1)),
            "update": data.ArrayLayout(signed(bits_for(bound) + 1), config.lanes[bundle.index]),
        }
    )


class UpdateSignature(wiring.Signature):
    """Written from the engine's side.

    Members
    -------
    start : In(1)
        One cycle, while not ``busy``: one pass over all weights and biases.
    busy : Out(1)
        High from the cycle after ``start`` until the last update has left.
    pre_address : Out
        Address of the pre layer's sums, or of a pixel.
    pre : In(pre_word)
        The word at the address of the cycle before.
    post_address : Out
        Address of the post layer's sums.
    post : In(sums_word)
        The word at the address of the cycle before.
    weight_rate : In
        Learning rate of the weights, LSB 2^-18; stable while ``busy``.
    bias_rate : In
        Learning rate of the biases, LSB 2^-18; stable while ``busy``.
    updates : Out(Flow(update_word))
        One for each word of the master memory, each address once.
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
