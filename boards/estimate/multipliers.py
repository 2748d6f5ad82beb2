"""Multipliers of an ECP5 that each unit takes: one for each product of its lanes, in the widths that `hw` gives them."""

from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.shapes import Bundle, Layer
from hw.core.commit_memories import slice_lanes
from hw.update.correlator import FACTOR_BITS, scaling_turns


def neuron_array(config: Config, layer: Layer) -> int:
    """`hw.core.neuron_array`: beta times the way to the target, in the output layer."""
    output = layer.index == len(config.spec.layers) - 1
    return config.lanes[layer.index] // config.turns(layer) if output else 0


def image_engine(config: Config, bundle: Bundle) -> int:
    """`hw.synapse.image_engine`: pixels times weights."""
    return config.lanes[bundle.index] * min(config.image_taps, bundle.kernel**2)


def pixel_engine(config: Config, bundle: Bundle) -> int:
    """`hw.synapse.pixel_engine`: a pixel times the weights of all lanes."""
    return config.lanes[bundle.index]


def correlator(config: Config, bundle: Bundle) -> int:
    """`hw.update.correlator`: products of both phases, and sums times the rate, in two where a sum is wide."""
    lanes = config.lanes[bundle.index]
    scalers = lanes // scaling_turns(config, bundle)
    # a last bit alone, its sign, takes no multiplier
    halves = 1 if config.spec.correlation_bits(bundle) <= FACTOR_BITS + 1 else 2
    return lanes * (3 - config.item_cycles(bundle)) + scalers * halves


def conv_update(config: Config, bundle: Bundle) -> int:
    """`hw.update.conv_update`: its correlator's, and the number of the pre group times the words of a tile."""
    groups = config.groups(bundle.pre)
    return correlator(config, bundle) + constant((groups - 1).bit_length(), config.lanes[bundle.pre.index] * bundle.kernel**2)


def event_engine(config: Config, bundle: Bundle) -> int:
    """`hw.synapse.folded_kernels`: numbers of groups times lanes, where these are no power of two."""
    pre, post = config.lanes[bundle.pre.index], config.lanes[bundle.index]
    pre_groups, post_groups = config.groups(bundle.pre), config.groups(bundle.post)
    group = bits_for(post_groups - 1) if post_groups > 1 else 0
    return (
        constant(group, post)
        + (constant(group + 1, post) if group else 0)
        + constant(1 + (bits_for(pre_groups - 1) if pre_groups > 1 else 0), pre)
    )


def constant(bits: int, factor: int) -> int:
    """Multipliers of an unsigned number of so many bits times a constant: Yosys leaves alone what has but one bit."""
    return 1 if bits > 1 and factor & (factor - 1) else 0


def compact(config: Config) -> int:
    """`hw.compact`: one for each product, whatever the network."""
    return 6


def weight_memory(config: Config, bundle: Bundle) -> int:
    """`hw.core.centred_memory`, if commits are centred: one for each lane of a slice, for all of its products."""
    return slice_lanes(config.lanes[bundle.index]) if config.spec.schedule.centred else 0


def none(config: Config, bundle: Bundle) -> int:
    """Of units without products: spikes need no multiplier."""
    return 0
