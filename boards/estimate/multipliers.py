"""Multipliers (MULT18X18D) that each unit takes on an ECP5, from the same operand widths as in `hw`."""

from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.core.commit_memories import slice_lanes
from nudge.hw.update.correlator import FACTOR_BITS, scaling_turns


def neuron_array(config: Config, layer: Layer) -> int:
    """Multipliers of `hw.core.neuron_array`: beta times the distance from the target (output layer)."""
    output = layer.index == len(config.spec.layers) - 1
    return config.lanes[layer.index] // config.turns(layer) if output else 0


def image_engine(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.synapse.image_engine`: box sums times weights, for the taps of one cycle."""
    return config.lanes[bundle.index] * min(config.image_taps, bundle.kernel**2)


def pixel_engine(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.synapse.pixel_engine`: a pixel times the weights of all lanes."""
    return config.lanes[bundle.index]


def correlator(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.update.correlator`: products, and sums times the learning rate.

    A wide sum takes two multipliers.
    """
    lanes = config.lanes[bundle.index]
    scalers = lanes // scaling_turns(config, bundle)
    # if only the sign bit is left for the upper half, it takes no multiplier
    halves = 1 if config.spec.correlation_bits(bundle) <= FACTOR_BITS + 1 else 2
    return lanes * config.spec.products(bundle) // config.item_cycles(bundle) + scalers * halves


def conv_update(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.update.conv_update`: the correlator's, and the pre group's index times
    the words of a tile."""
    groups = config.groups(bundle.pre)
    return correlator(config, bundle) + constant(
        (groups - 1).bit_length(), config.lanes[bundle.pre.index] * bundle.kernel**2
    )


def event_engine(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.synapse.folded_kernels`: indices of groups times lanes that are no power of two."""
    pre, post = config.lanes[bundle.pre.index], config.lanes[bundle.index]
    pre_groups, post_groups = config.groups(bundle.pre), config.groups(bundle.post)
    group = bits_for(post_groups - 1) if post_groups > 1 else 0
    return (
        constant(group, post)
        + (constant(group + 1, post) if group else 0)
        + constant(1 + (bits_for(pre_groups - 1) if pre_groups > 1 else 0), pre)
    )


def constant(bits: int, factor: int) -> int:
    """Multipliers of an unsigned number of `bits` bits times a constant: 1, or 0 for a number of
    one bit or a power of two, which Yosys computes without a multiplier."""
    return 1 if bits > 1 and factor & (factor - 1) else 0


def compact(config: Config) -> int:
    """Multipliers of `hw.compact`: one for each product, independent of the network."""
    return 6


def weight_memory(config: Config, bundle: Bundle) -> int:
    """Multipliers of `hw.core.centred_commit`, if commits are centred: one for each lane of a
    slice, shared by all of its products."""
    return slice_lanes(config.lanes[bundle.index]) if config.spec.schedule.centred else 0


def none(config: Config, bundle: Bundle) -> int:
    """Return 0, for units without products: spikes need no multiplier."""
    return 0
