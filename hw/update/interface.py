"""The interface of the equilibrium-propagation update engines, one for each bundle, and its word layouts."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.lib.flow import Flow

#: What an update engine reads with `Schedule.vector_field` of the pre and of the post layer.
READ = {"pre": "mean", "post": "difference"}


def sums_word(config: Config, layer: Layer, side: str):
    """Return the layout of a word of window sums of xi, LSB 2^-8. side: "pre" for the update engine of the
    bundle above the layer, "post" for that of the bundle below.

    ``plus`` is the sum of the +beta phase, ``minus`` that of the -beta phase. With fine spikes a word has
    instead (`golden.model.fine_spikes.deviation_sums`) ``mean``, the window sum of xi averaged over both
    nudged phases, and ``difference``, +beta minus -beta, in units of the layer's fine spikes or, for the
    bundle above, of the next layer's. With `Schedule.vector_field` it has the one in `READ` alone.
    """
    if config.spec.schedule.fine:
        kept = data.ArrayLayout(signed(config.spec.sum_bits + 2), config.lanes[layer.index])
        names = [READ[side]] if config.spec.schedule.vector_field else ["mean", "difference"]
        return data.StructLayout(dict.fromkeys(names, kept))
    lanes = data.ArrayLayout(unsigned(config.spec.sum_bits), config.lanes[layer.index])
    return data.StructLayout({"plus": lanes, "minus": lanes})


def products(config: Config, bundle: Bundle) -> list[tuple[str, str]]:
    """Return the fields (pre, post) of each product of a weight's update, `Spec.products` many:
    g = pre.plus post.plus - pre.minus post.minus, or with fine spikes g = pre.mean post.difference +
    pre.difference post.mean. On the image pre is the pixel."""
    fine = [("mean", "difference"), ("difference", "mean")]
    fields = (fine if config.spec.schedule.fine else [("plus", "plus"), ("minus", "minus")])[
        : config.spec.products(bundle)
    ]
    return [("pixel", post) for _, post in fields] if bundle.on_image else fields


def pre_word(config: Config, bundle: Bundle):
    """Return the layout of a word that an update engine reads from its pre layer: window sums, or a pixel."""
    if bundle.on_image:
        return data.StructLayout({"pixel": config.spec.formats.pixel_bits})
    return sums_word(config, bundle.pre, "pre")


def post_word(config: Config, bundle: Bundle):
    """Return the layout of a word that an update engine reads from its post layer: window sums."""
    return sums_word(config, bundle.post, "post")


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
    post : In(post_word)
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
                "post": In(post_word(config, bundle)),
                "weight_rate": In(rate),
                "bias_rate": In(rate),
                "updates": Out(Flow(update_word(config, bundle))),
            }
        )
