"""The memories of each unit of the gateware, from the same widths and depths as in `hw`.

tests/boards/estimate compares these lists with the memories of the elaborated units.
"""

from dataclasses import replace

from amaranth.utils import bits_for

from nudge.golden.contract import layout, protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import CANDIDATES, SPOTS, adder_sizes
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.core.commit_memories import Widths
from nudge.hw.core.interface import bias_word, samples_in_flight
from nudge.hw.core.totals import total_bits
from nudge.hw.link.registers import counter_names
from nudge.hw.memory.image_fetcher import BANKS
from nudge.hw.synapse.event_layout import PAIR, weight_bits
from nudge.hw.synapse.interface import banks_of, static_banks
from nudge.hw.synapse.scatter.engine import largest_drive
from nudge.hw.synapse.scatter.folding import folded_words
from nudge.hw.update.correlator import pre_bits

from .mapping import Shape


def neuron_array(config: Config, layer: Layer) -> list[Shape]:
    """Memories of `hw.core.neuron_array`, or of `hw.core.deviation_array` for a network with fine spikes."""
    if config.spec.schedule.fine:
        return deviation_array(config, layer)
    spec, lanes, words, turns = (
        config.spec,
        config.lanes[layer.index],
        config.words(layer),
        config.turns(layer),
    )
    output = layer.index == len(spec.layers) - 1
    state = spec.formats.decoder_bits + spec.membrane_bits + (spec.state_bits if output else 0)
    parts, all_words = 1 << bits_for(words * turns - 1), 1 << bits_for(words - 1)
    sums = Shape(lanes * spec.sum_bits, config.slots * all_words, reads=1 if output else 2, count=2)
    out = [
        Shape(lanes // turns * state, 2 * config.slots * parts),
        Shape(bias_word(config, layer)["bias"].shape.size, config.groups(layer)),
        Shape(lanes // turns * spec.sum_bits, config.slots * parts),
        sums,
    ]
    return [*out, Shape(sums.width, sums.depth)] if output else out


def deviation_array(config: Config, layer: Layer) -> list[Shape]:
    """Memories of `hw.core.deviation_array`: both states, biases, running sums and sums of earlier
    phases, means and differences."""
    spec, lanes, words, turns = (
        config.spec,
        config.lanes[layer.index],
        config.words(layer),
        config.turns(layer),
    )
    points, n, output = spec.schedule.fine, layer.index, layer.index == len(spec.layers) - 1
    state = spec.formats.decoder_bits + spec.membrane_bits + (spec.state_bits + 1 if output else 0)
    parts, all_words = (config.slots << bits_for(count - 1) for count in (words * turns, words))
    difference = spec.sum_bits + 2
    vector_field = spec.schedule.vector_field
    out = [
        Shape(lanes // turns * state, parts, count=2),
        Shape(bias_word(config, layer)["bias"].shape.size, config.groups(layer)),
        Shape(lanes // turns * (spec.sum_bits + 1), parts, count=3),
        Shape(lanes * difference, all_words),
    ]
    # the output layer is no bundle's pre layer: only the engine below reads its means, and nobody its
    # difference for the bundle above; with `vector_field` only the engine above reads means, and nobody that
    # difference
    if not (output and vector_field):
        out.append(Shape(lanes * spec.sum_bits, all_words, reads=1 if output or vector_field else 2))
    if output:
        return [*out, Shape(lanes * spec.sum_bits, all_words)]
    return out if vector_field else [*out, Shape(lanes * (difference - points[n - 1] + points[n]), all_words)]


def drive_memory(layer: Layer, lanes: int, bits: int, banks: int, wide: int = 1) -> Shape:
    """Memory of `hw.synapse.drive_memory`. wide: neighbouring positions in a word."""
    rows = layer.channels // lanes * layer.height * -(-layer.width // wide)
    return Shape(bits * lanes * wide, banks * rows)


def line_buffer(bits: int, width: int, kernel: int) -> Shape:
    """Memory of `hw.lib.line_buffer`: kernel - 1 earlier rows, in words of one column."""
    return Shape(bits * (kernel - 1), width, undefined=False)


def image_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.synapse.image_engine`: line buffer, static drives, sums over channels."""
    post, bound = bundle.post, config.spec.static_bound
    lanes = config.lanes[post.index]
    # partial sums, for an image with several channels
    sums = [Shape(lanes * signed_bits(-bound, bound), post.positions)] if bundle.pre.channels > 1 else []
    return [
        line_buffer(config.spec.formats.pixel_bits, bundle.framed_width, bundle.kernel + 1),
        drive_memory(post, lanes, post.phi_bits, static_banks(config)),
        *sums,
    ]


def pixel_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memory of `hw.synapse.pixel_engine`: static drives."""
    post = bundle.post
    return [drive_memory(post, config.lanes[post.index], post.phi_bits, static_banks(config))]


def spike_buffer(config: Config, layer: Layer) -> Shape:
    """Memory of `hw.synapse.spike_buffer`."""
    width = config.lanes[layer.index] * config.spec.spike_bits
    return Shape(width, banks_of(layer.index, config) << bits_for(config.words(layer) - 1))


def dense_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.synapse.dense_engine`: spike buffers, forward sums, and the FIFO of backward sums."""
    pre, post, top = bundle.pre, bundle.post, config.spec.formats.weight_bits - 1
    words, lanes = config.words(pre), config.lanes
    forward = signed_bits(-(pre.neurons << top), pre.neurons << top)
    backward = signed_bits(-(post.neurons << top), post.neurons << top)
    return [
        spike_buffer(config, pre),
        spike_buffer(config, post),
        Shape(lanes[post.index] * forward, config.groups(post), combinational=True),
        # the FIFO's output register holds one more word
        Shape(lanes[pre.index] * backward, max(words, 3) - 1, undefined=False),
    ]


def spike_window(config: Config, layer: Layer, block: int, border: int) -> Shape:
    """The four memories of `hw.synapse.spike_window`."""
    bits = 0
    for size in (layer.height, layer.width):
        bits += max(bits_for(border + -(-size // block)) - 1, 1)
    spots = block * block * layer.channels
    return Shape(
        spots * config.spec.spike_bits,
        1 << bits,
        parts=spots // config.lanes[layer.index],
        combinational=True,
        count=4,
    )


def event_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.synapse.event_conv_engine`: spike windows, kernels of each unit, drives."""
    pre, post = bundle.pre, bundle.post
    bound = -config.spec.formats.weight_low * bundle.kernel**2
    directions = (
        (post, pre.index, 4 * pre.channels * bound, config.groups(post), 1),
        (pre, post.index, post.channels * bound, SPOTS * pre.channels // PAIR, PAIR),
    )
    out = [spike_window(config, pre, 2, 0), spike_window(config, post, 1, 1)]
    for (units, lanes), passes, (target, source, largest, chunks, wide) in zip(
        adder_sizes(bundle).values(), config.passes, directions, strict=True
    ):
        of_pass = weight_bits(config) * lanes // passes
        blocks = config.kernel_blocks
        kernels = Shape(of_pass, CANDIDATES * passes, parts=chunks // passes, count=units)
        out.append(replace(kernels, forced=blocks, combinational=not blocks))
        bits = signed_bits(-largest, largest)
        out.append(drive_memory(target, config.lanes[target.index], bits, banks_of(source, config), wide))
    return out


def scatter_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.synapse.scatter.engine`: spike queues, transposed and folded weights, both drives."""
    pre, post, lanes, bits = bundle.pre, bundle.post, config.lanes, config.spec.formats.weight_bits
    out = [Shape(bits * lanes[pre.index], bundle.weights // lanes[pre.index], parts=lanes[pre.index])]
    if bundle.index in config.folded:
        out.append(Shape((bits + 2) * lanes[post.index], folded_words(config, bundle)))
    for source, target in ((pre, post), (post, pre)):
        place = sum(bits_for(size - 1) for size in source.shape)
        out.append(Shape(place + lanes[source.index] * config.spec.spike_bits, config.words(source)))
        most = largest_drive(config, bundle, target is post)
        out.append(
            drive_memory(
                target, lanes[target.index], signed_bits(-most, most), banks_of(source.index, config)
            )
        )
    return out


def line_engine(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.synapse.conv_engine`: spike buffers, line buffers, a pooled row, and the
    sums of both directions."""
    pre, post, k, lanes = bundle.pre, bundle.post, bundle.kernel, config.lanes
    bound = lanes[pre.index] * k * k << (config.spec.formats.weight_bits - 1)
    pooled = signed_bits(-bound, bound) + 1
    return [
        spike_buffer(config, pre),
        spike_buffer(config, post),
        line_buffer(lanes[pre.index] * config.spec.spike_bits, bundle.framed_width, k),
        line_buffer(lanes[post.index] * config.spec.spike_bits, pre.width + k - 1, k),
        Shape(lanes[post.index] * pooled, bundle.map_width // 2, undefined=False),
        Shape(lanes[post.index] * post.phi_bits, config.words(post)),
        Shape(lanes[pre.index] * pre.phi_bits, config.words(pre)),
    ]


def conv_update(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.update.conv_update`: a line buffer and the 2x2 sums of the pre layer's
    plane.

    Each product has sums of its own; the image, the same in both nudged phases, has them once.
    """
    pre, image = bundle.pre, bundle.kind == "image"
    values = 1 if image else config.spec.products(bundle) * config.lanes[pre.index]
    bits = pre_bits(config, bundle)
    return [
        line_buffer(values * (bits - 2), bundle.framed_width, 2),
        Shape(values * bits, (bundle.framed_height - 1) * (bundle.framed_width - 1)),
    ]


def weight_memory(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `hw.core.weight_memory`: masters, and working copies that are written in parts
    of one master word."""
    f, lanes, rows = config.spec.formats, config.lanes[bundle.index], layout.tile_rows(config, bundle)
    return [
        Shape(f.master_bits * lanes, layout.image_words(config, bundle)),
        Shape(f.weight_bits * lanes * rows, layout.tiles(config, bundle), parts=rows),
        *(centred(config, bundle) if config.spec.schedule.centred else []),
    ]


def centred(config: Config, bundle: Bundle) -> list[Shape]:
    """Further memories of `hw.core.centred_commit`: c of pre channels, bias updates, three sums of c w."""
    widths, lanes, groups = Widths(config, bundle), config.lanes[bundle.index], config.groups(bundle.post)
    sums = Shape(widths.width * widths.sum_bits, groups * widths.slices, combinational=True, count=3)
    return [
        Shape(2 * widths.c_bits, bundle.pre.channels),
        Shape(lanes * widths.B_bits, groups, combinational=True),
        sums,
    ]


def totals(config: Config, bundle: Bundle) -> list[Shape]:
    """Memory of `hw.core.totals`."""
    return [
        Shape(
            config.lanes[bundle.pre.index] * total_bits(config, bundle),
            config.groups(bundle.pre),
            combinational=True,
        )
    ]


def weights(config: Config, bundle: Bundle) -> list[Shape]:
    """Memories of `weight_memory` and, if commits are centred, of `totals`."""
    return weight_memory(config, bundle) + (totals(config, bundle) if config.spec.schedule.centred else [])


def no_memory(config: Config, bundle: Bundle) -> list[Shape]:
    """Return an empty list: `hw.update.dense_update` has no memory."""
    return []


def shell(config: Config, window: int) -> list[Shape]:
    """Memories outside the bundles: `hw.core.image_buffer`, which static drives and updates read,
    and the frames and answers of the link's window in `hw.link`.

    Small memories of the link, with the same size in each design, count as cells of the shell.
    """
    address, window = bits_for(config.spec.input.pixels - 1), protocol.window_for(config.spec, window)
    return [
        Shape(config.spec.formats.pixel_bits, samples_in_flight(config) << address, reads=2),
        Shape(8, window * protocol.request_bytes(config.spec), undefined=False),
        Shape(8, window * protocol.ANSWER_BYTES, undefined=False),
    ]


def store(config: Config) -> list[Shape]:
    """Memory of `hw.memory.image_fetcher`: fetched images. Small queues count as cells of the store."""
    return [Shape(config.spec.formats.pixel_bits, BANKS << bits_for(config.spec.input.pixels - 1))]


def compact(config: Config, window: int) -> list[Shape]:
    """Memories of `hw.compact` and its link, except the iCE40's single-port RAMs."""
    spec = config.spec
    output, outputs = spec.layers[-1], spec.layers[-1].neurons
    number = bits_for(outputs - 1)
    return [
        Shape(spec.formats.bias_bits, spec.layers[1].channels + outputs, undefined=False),
        Shape(spec.state_bits, 2 << number, undefined=False),
        Shape(number, 2 << number, undefined=False),
        # drives of the output layer lack phi's fractional bits
        Shape(output.phi_bits - 2, 1 << number, undefined=False),
        # all counters except that of pending samples; two readers
        Shape(32, len(counter_names(config)) - 1, reads=2, undefined=False),
        *shell(config, window)[1:],
    ]
