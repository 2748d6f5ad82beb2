"""Features of the units: bits of adders, multiplexers and registers, counted from the widths that `hw` uses.

Each function returns the features of one kind of unit by name; `boards.estimate.cells` multiplies them by
coefficients that are fitted to synthesised designs. The feature ``carry`` is the number of cells in carry
chains; it has no coefficient.
"""

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import CANDIDATES, SPOTS, adder_sizes
from nudge.golden.contract.formats import signed_bits
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.core.commit_memories import Widths
from nudge.hw.core.totals import total_bits
from nudge.hw.lib.adder_tree import tree_latency
from nudge.hw.synapse.event_layout import weight_bits
from nudge.hw.synapse.interface import banks_of
from nudge.hw.synapse.scatter.engine import largest_drive
from nudge.hw.synapse.scatter.folding import even_side, folded_words
from nudge.hw.update.correlator import pre_bits, scaling_turns

Features = dict[str, float]


def adder(bits: int) -> int:
    """Return the cells of an adder: 2 for each two bits, and 2 at each end of the chain."""
    return 2 * -(-bits // 2) + 4


def tree(terms: int, bits: int, latency: int = 0) -> tuple[int, int]:
    """Return cells and registers of `hw.lib.adder_tree`, padded with registers to `latency`."""
    cells = registers = 0
    own = tree_latency(terms)
    widths = [bits] * terms
    for _ in range(own):
        sums = []
        for i in range(0, len(widths), 2):
            pair = widths[i : i + 2]
            width = max(pair) + 1 if len(pair) == 2 else pair[0]
            cells += adder(width) if len(pair) == 2 else 0
            registers += width
            sums.append(width)
        widths = sums
    return cells, registers + max(latency - own, 0) * widths[0]


def complements(config: Config, weights: int, bits: int) -> int:
    """Return the cells that negate this many weights of `bits` bits for spikes of -1: gates, and a carry into
    the tree.

    0 for a network whose spikes have no sign.
    """
    return weights * (bits + 2) if config.spec.spike_bits > 1 else 0


def neuron_array(config: Config, layer: Layer) -> Features:
    """Features of `hw.core.neuron_array`, or of `hw.core.deviation_array` for a network with fine spikes."""
    spec, lanes, turns = config.spec, config.lanes[layer.index], config.turns(layer)
    f, output, own = spec.formats, layer.index == len(spec.layers) - 1, lanes // turns
    drives, phi_bits = 1 if output else 2, layer.phi_bits + (0 if output else spec.schedule.feedback_shift)
    state = f.decoder_bits + spec.membrane_bits
    # adders: drives, d, xi (and the nudge in the output layer), two for U, the window's sum
    chains = (0 if output else adder(phi_bits + 1)) + adder(layer.phi_bits + f.drive_shift + 2)
    chains += (
        (2 if output else 1) * adder(f.decoder_bits + 2)
        + 2 * adder(spec.membrane_bits + 1)
        + adder(spec.sum_bits)
    )
    chosen = lanes * (drives * layer.phi_bits + f.bias_bits) if turns > 1 else 0
    # annealing: difference of d and its drive, and xi of the next step, each with a choice of shifts
    schedule, way, weighed = (
        spec.schedule,
        layer.phi_bits + f.drive_shift + 2,
        spec.state_bits + spec.schedule.last_shift,
    )
    chains += adder(way) + adder(weighed) if schedule.halvings else 0
    if schedule.fine:
        # deviations: the reference, xi without and with the deviation, their difference and its clip; both
        # thresholds and the potential that a nudged phase begins with; sums of three phases, their mean and
        # difference
        point = schedule.fine[layer.index - 1]
        chains += 4 * adder(f.decoder_bits + 1 + point) + 3 * adder(spec.state_bits + point + 1)
        chains += 6 * adder(spec.membrane_bits + 2) + 5 * adder(spec.sum_bits + 2)
        state += f.decoder_bits + spec.state_bits
    return {
        "unit": 1,
        "carry": own * chains,
        "annealed": own * len(schedule.halvings) * (way + weighed),
        "state": own * state,
        "phi": own * phi_bits,
        "outputs": own if output else 0,
        "chosen": chosen,
        "earlier": (lanes - own) * (spec.sum_bits + 1),
        "address": (config.words(layer) * turns).bit_length(),
    }


def image_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.image_engine`: window, box sums, choice of weights, products and their sum."""
    f, lanes, taps = config.spec.formats, config.lanes[bundle.index], bundle.kernel**2
    at_once = min(config.image_taps, taps)
    rounds = -(-taps // at_once)
    top = bundle.pre.channels * taps * 4 * ((1 << f.pixel_bits) - 1) << (f.weight_bits - 1)
    cells, registers = tree(at_once, f.pixel_bits + 2 + f.weight_bits)
    sum_bits = signed_bits(-top, top)
    return {
        "unit": 1,
        "carry": lanes * (cells + 2 * adder(sum_bits))
        + taps * (2 * adder(f.pixel_bits + 1) + adder(f.pixel_bits + 2)),
        "lanes": lanes,
        "registers": lanes * registers + lanes * at_once * (2 * f.weight_bits + 2 * f.pixel_bits + 2),
        "kernel": taps * lanes * f.weight_bits,
        "chosen": taps * lanes * f.weight_bits if rounds > 1 else 0,
        "window": (bundle.kernel + 1) ** 2 * f.pixel_bits,
        "boxes": taps * (f.pixel_bits + 2),
    }


def pixel_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.pixel_engine`: product, sum and rounding of each lane, and the loop
    over tiles."""
    f, lanes = config.spec.formats, config.lanes[bundle.index]
    top = bundle.pre.neurons * ((1 << f.pixel_bits) - 1) << (f.weight_bits - 1)
    sum_bits, operands = signed_bits(-top, top), f.weight_bits + f.pixel_bits + f.weight_bits
    return {
        "unit": 1,
        "carry": lanes * 2 * adder(sum_bits),
        "registers": lanes * (sum_bits + operands),
        "lanes": lanes,
        "address": layout.tiles(config, bundle).bit_length(),
    }


def dense_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.dense_engine`: adder trees and sums of both directions."""
    top, a, b = config.spec.formats.weight_bits, config.lanes[bundle.pre.index], config.lanes[bundle.index]
    latency = max(tree_latency(a), tree_latency(b))
    (there, there_registers), (back, back_registers) = tree(a, top, latency), tree(b, top, latency)
    most_there, most_back = bundle.pre.neurons << (top - 1), bundle.post.neurons << (top - 1)
    bits_there, bits_back = signed_bits(-most_there, most_there), signed_bits(-most_back, most_back)
    return {
        "unit": 1,
        "carry": b * there
        + a * back
        + b * adder(bits_there)
        + a * adder(bits_back)
        + complements(config, 2 * a * b, top),
        "registers": b * there_registers + a * back_registers + 2 * a * b * top,
        "forward": b * bits_there,
        "backward": a * bits_back,
        "address": layout.tiles(config, bundle).bit_length(),
    }


def event_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.event_conv_engine`: windows, units, adder trees and sums."""
    pre, post = bundle.pre, bundle.post
    bits, bound = weight_bits(config), -config.spec.formats.weight_low * bundle.kernel**2
    out: Features = {"unit": 1, "carry": 0, "registers": 0, "units": 0, "held": 0}
    widest = (4 * pre.channels * bound, post.channels * bound)
    for (units, lanes), passes, largest in zip(
        adder_sizes(bundle).values(), config.passes, widest, strict=True
    ):
        own, width = lanes // passes, signed_bits(-largest, largest)
        cells, registers = tree(units, bits)
        out["carry"] += own * (cells + adder(width)) + complements(config, own * units, bits)
        # the signs of a window's spikes are registered twice: while they wait and while they are added
        out["registers"] += (
            own * (registers + units * bits + width) + 2 * (config.spec.spike_bits - 1) * units * CANDIDATES
        )
        out["units"] += units * CANDIDATES
        out["held"] += own * width
    out["window"] = config.spec.spike_bits * (SPOTS * SPOTS * pre.channels + SPOTS * post.channels)
    return out


def scatter_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.scatter.engine`: in each direction an adder for each lane, the word that is
    read and sent, and the term; backward, and for folded weights, also two adders that fold a kernel, and its
    row before; addresses and spikes.
    """
    weight, signs = config.spec.formats.weight_bits, config.spec.spike_bits - 1
    out: Features = {"unit": 1, "carry": 0, "registers": 0, "spikes": 0, "address": 0}
    for source, target in ((bundle.pre, bundle.post), (bundle.post, bundle.pre)):
        lanes, most = config.lanes[target.index], largest_drive(config, bundle, target is bundle.post)
        folds = target is bundle.pre or bundle.index in config.folded
        drive, term = signed_bits(-most, most), weight + 2 * folds
        out["carry"] += lanes * adder(drive + signs)
        out["registers"] += lanes * (2 * drive + term)
        out["spikes"] += config.lanes[source.index] * config.spec.spike_bits
        out["address"] += (banks_of(source.index, config) * config.words(target)).bit_length()
        out["address"] += layout.tiles(config, bundle).bit_length()
        if folds:
            side = bundle.kernel + 1 if target is bundle.pre else even_side(bundle)
            out["carry"] += lanes * (adder(weight + 1) + adder(weight + 2))
            out["registers"] += lanes * (2 * weight + side * (weight + 1))
    if bundle.index in config.folded:
        out["address"] += folded_words(config, bundle).bit_length()
    return out


def line_engine(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.synapse.conv_engine`: kernels in registers, windows, adder trees and sums of
    both directions."""
    weight, k = config.spec.formats.weight_bits, bundle.kernel
    a, b, taps = config.lanes[bundle.pre.index], config.lanes[bundle.index], k * k
    (there, there_registers), (back, back_registers) = tree(a * taps, weight), tree(b * taps, weight)
    sums = 2 * b * adder(bundle.post.phi_bits) + a * adder(bundle.pre.phi_bits)
    return {
        "unit": 1,
        "carry": b * there + a * back + sums + complements(config, 2 * a * b * taps, weight),
        "registers": b * there_registers + a * back_registers + 2 * a * b * taps * weight,
        "kernel": a * b * taps * weight,
        "window": (a + b) * taps * config.spec.spike_bits,
        "sums": b * bundle.post.phi_bits + a * bundle.pre.phi_bits,
    }


def correlator(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.update.correlator`: differences and sums of each lane, and scalers that lanes share."""
    spec, lanes = config.spec, config.lanes[bundle.index]
    g, turns, shared = (
        spec.correlation_bits(bundle),
        scaling_turns(config, bundle),
        config.item_cycles(bundle) == 2,
    )
    added = spec.products(bundle) == 2 and not shared
    scalers, product = lanes // turns, pre_bits(config, bundle) + spec.sum_bits + 1
    scaled = g + spec.formats.rate_bits + 1
    rounded = scaled - spec.weight_shift(bundle)
    # product with the rate; roundings of weights and of biases; two comparisons with the bound
    of_scaler = adder(scaled) + 2 * adder(rounded + 8) + 2 * adder(rounded)
    return {
        "unit": 1,
        "carry": lanes * (adder(g) + (adder(product) if added else 0)) + scalers * of_scaler,
        "lanes": lanes * g,
        "shared": lanes * spec.sum_bits if shared else 0,
        "products": lanes * product * (3 if added else 1),
        "scalers": scalers * scaled,
        "turns": lanes * g if turns > 1 else 0,
    }


def conv_update(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.update.conv_update`: a correlator, and the 2x2 sums before it."""
    image = bundle.kind == "image"
    values = 1 if image else config.spec.products(bundle) * config.lanes[bundle.pre.index]
    bits = pre_bits(config, bundle)
    loops = (
        layout.master_words(config, bundle).bit_length()
        + (bundle.pre.positions + bundle.post.positions).bit_length()
    )
    return correlator(config, bundle) | {"boxes": values * bits, "loops": loops}


def dense_update(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.update.dense_update`: a correlator, and the multiplexer of pre lanes before it."""
    lanes = config.lanes[bundle.pre.index]
    chosen = config.spec.products(bundle) * lanes * config.spec.sum_bits if lanes > 1 else 0
    return correlator(config, bundle) | {
        "chosen": chosen,
        "loops": layout.master_words(config, bundle).bit_length(),
    }


def weight_memory(config: Config, bundle: Bundle) -> Features:
    """Features of `hw.core.weight_memory` with the host's access to it, or of `hw.core.centred_commit`."""
    f, lanes = config.spec.formats, config.lanes[bundle.index]
    known: Features = {
        "unit": 1,
        "carry": lanes * (adder(f.master_bits) + adder(f.committed_bits + 1)),
        "lanes": lanes,
        "rows": layout.tile_rows(config, bundle),
        "address": layout.master_words(config, bundle).bit_length(),
        "centred": 0,
        "put together": 0,
        "slice": 0,
    }
    if config.spec.schedule.centred:
        widths, total, pre = (
            Widths(config, bundle),
            adder(total_bits(config, bundle)),
            config.lanes[bundle.pre.index],
        )
        # per slice: weights less the common part, both sums, and the correction of biases; per lane: updates
        # of biases; totals of the pre channels and the channels' shares of them
        chains = widths.width * (3 * adder(f.master_bits + 2) + 4 * adder(widths.sum_bits))
        known["carry"] += chains + lanes * adder(widths.B_bits) + (pre + 3) * total
        known |= {"centred": 1, "put together": lanes, "slice": widths.width}
    return known


def whole() -> Features:
    """Return the only feature, a constant, of logic whose size hardly depends on the network.

    This is the shell (link, registers, counters, sequencer, image buffer), the store, and the compact core
    with its link.
    """
    return {"unit": 1}
