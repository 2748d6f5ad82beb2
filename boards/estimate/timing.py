"""Timing within one half of a sweep: the cycle of each word of the neuron arrays and each window of the
synapse engines.

Cycle 0 is the one in which the sequencer starts the half. Each function models the part of `hw` that it
names, with that part's own latencies; the constants added to them are registers between the parts.
tests/boards/estimate/test_cycles.py compares the result with the cycles that sim/test_cycles.py simulates.
"""

import numpy as np

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle, Layer
from nudge.hw.core.neuron_array import NeuronArray
from nudge.hw.lib.adder_tree import tree_latency
from nudge.hw.synapse import folded_kernels
from nudge.hw.synapse.event_side import Side
from nudge.hw.synapse.pixel_engine import PixelEngine
from nudge.hw.synapse.scatter.folding import folding_cycles
from nudge.hw.synapse.scatter.forward import spike_cycles
from nudge.hw.synapse.scatter.weights import copy_cycles
from nudge.hw.update import correlator

#: Latency in cycles: from the start of a drive memory, and of a scatter engine's sums, to its first word; of
#: a dense engine's FIFO.
DRIVES_START, SUMS_START, QUEUE = 2, 3, 2


def array_words(config: Config, layer: Layer, ready: np.ndarray) -> np.ndarray:
    """Return the cycle in which `hw.core.neuron_array` takes each word's last turn, (..., words).

    ready: cycle from which each word's drives are available, (..., words).
    """
    turns = config.turns(layer)
    own = turns * np.arange(config.words(layer))
    # the start of a half reaches layer n after n cycles
    first = own + np.maximum.accumulate(np.maximum(ready, layer.index + 1) - own, -1)
    return first + turns - 1


def array_end(last_turns: np.ndarray) -> np.ndarray:
    """Return the first cycle in which the array isn't busy: that of its last spikes."""
    return last_turns[..., -1] + NeuronArray.latency


def spike_times(last_turns: np.ndarray) -> np.ndarray:
    """Return the cycle in which each word's spikes are sent, (..., words)."""
    return last_turns + NeuronArray.latency


def drives(config: Config, bundle: Bundle) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the cycles from which a bundle's drives are available: backward per word of the pre layer (None
    for the image), forward per word of the post layer.

    For event and scatter engines they hold if they begin at their start signal, without delay from the last
    half.
    """
    start = engine_start(bundle)
    post = np.arange(config.words(bundle.post))
    if bundle.on_image:
        # the replay of the static drive starts with the half of layer 1
        return None, 1 + DRIVES_START + post
    pre = np.arange(config.words(bundle.pre))
    if config.engine(bundle) == "event":
        return start + DRIVES_START + pre, start + DRIVES_START + post
    if config.engine(bundle) == "scatter":
        return start + SUMS_START + 2 * pre, start + SUMS_START + 2 * post
    if bundle.kind == "conv":
        end = start + line_engine(config, bundle)
        return end + pre, end + post
    groups = config.groups(bundle.post)
    tree = max(tree_latency(config.lanes[bundle.pre.index]), tree_latency(config.lanes[bundle.index]))
    # latency: the start, the address and the weights' register, the tree
    complete = start + 1 + 2 + tree + groups * (pre + 1) - 1
    return complete + QUEUE, complete[-1] + 1 + post


def engine_start(bundle: Bundle) -> int:
    """Return the cycle of an engine's start signal: that of the layer below."""
    return bundle.index - 1


def line_engine(config: Config, bundle: Bundle) -> int:
    """Return the cycles of `hw.synapse.conv_engine` from its start to the first drives.

    Each tile loads its kernels, then streams its map.
    """
    k, pre = bundle.kernel, bundle.pre
    raster = (pre.height + k - 1) * (pre.width + k - 1)
    # both directions of a convolution have the latency of the longer tree
    tree = tree_latency(max(config.lanes[pre.index], config.lanes[bundle.index]) * k * k)
    tile = (1 + k * k + 2) + (2 + raster + 1 + tree + 1 + 1)
    return 1 + config.groups(pre) * config.groups(bundle.post) * tile + 2 + DRIVES_START


def prepare_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles in which a bundle's engine recomputes values derived from weights after a commit."""
    if config.engine(bundle) == "event":
        return folded_kernels.cycles(config, bundle) + 2
    if config.engine(bundle) == "scatter":
        return (
            copy_cycles(config, bundle) + folding_cycles(config, bundle) * (bundle.index in config.folded) + 2
        )
    return 0


class Windows:
    """Timing of the windows in one direction of `hw.synapse.event_conv_engine`, in all halves."""

    def __init__(self, config: Config, bundle: Bundle, name: str, busiest: np.ndarray):
        """Compute each window's begin. name: "forward" or "backward". busiest: spikes of the busiest unit in
        each window, (pairs, halves, windows)."""
        side = Side(config, bundle, name)
        each = np.maximum(np.maximum(busiest, 1), side.rows_of_pass)
        #: Index of the source's word that each window waits for.
        self._word = words_needed(config, side) - 1
        #: Cycles from the first window's begin to each window's begin, if none waits for words.
        self._begin = (np.cumsum(each, -1) - each) * side.passes
        last = each[..., -1]
        drained = 1 if side.ends_early else last + side.latency + side.rows_of_pass + 2
        #: Cycles from the last window's begin to the earliest begin of the next half.
        self._after = (side.passes - 1) * last + drained

    def end(self, half: int, spikes: np.ndarray) -> np.ndarray:
        """Return the first cycle in which the engine may begin the half after this one, (pairs,).

        spikes: cycle in which each word of the source is sent, (pairs, words).
        """
        begin = self._begin[:, half]
        # 2 cycles: a counter of words and a skid buffer
        waits = np.max(spikes[:, self._word] + 2 - begin, 1)
        return begin[:, -1] + waits + self._after[:, half]


#: Cycles from the last word of spikes to its first address, and from the last address to the next half's
#: begin.
SCATTER_BEGIN, SCATTER_END = 5, 3


class Scattered:
    """Timing of one direction of `hw.synapse.scatter.engine`, in all halves."""

    def __init__(self, config: Config, bundle: Bundle, name: str, fired: np.ndarray):
        """name: "forward" or "backward". fired: bool source spikes, (pairs, halves, channels, positions)."""
        source, target = (bundle.pre, bundle.post) if name == "forward" else (bundle.post, bundle.pre)
        lanes, words = config.lanes[source.index], config.words(source)
        of_words = fired.reshape(*fired.shape[:2], -1, lanes, source.positions).sum(-2)
        work = (of_words * cycles_at(config, bundle, name)).reshape(*fired.shape[:2], words)
        # Sending a word of drives takes a cycle from the spikes. With one slot the target is idle, and takes
        # zeros.
        sent = (
            config.words(target)
            * (config.slots - 1)
            * (1 - np.arange(words) / words)
            * (work.sum(-1, keepdims=True) > 0)
        )
        #: Cycles from each word's arrival to the end of all spikes, if the engine never waits.
        self._left = np.cumsum(work[..., ::-1], -1)[..., ::-1] + sent.astype(np.int64)

    def end(self, half: int, spikes: np.ndarray) -> np.ndarray:
        """Return the first cycle in which the engine may begin the half after this one, (pairs,).

        spikes: cycle in which each word of the source is sent, (pairs, words).
        """
        return np.max(spikes + self._left[:, half], 1) + SCATTER_BEGIN + SCATTER_END


def cycles_at(config: Config, bundle: Bundle, name: str) -> np.ndarray:
    """Return the cycles of a spike in a scatter engine, by the position of its source layer."""
    if name == "backward":
        return np.full(bundle.post.positions, config.groups(bundle.pre) * (bundle.kernel + 1) ** 2)
    return np.array(spike_cycles(bundle, config.groups(bundle.post), bundle.index in config.folded)).reshape(
        -1
    )


def words_needed(config: Config, side: Side) -> np.ndarray:
    """Return the number of words of the source that each window waits for, windows in raster order."""
    source = side.source
    before = (config.groups(source) - 1) * source.positions
    # positions outside the source have no spikes and need no wait
    rows = np.minimum(
        side.corner + side.stride * np.arange(side.rows), _last(side.corner, side.stride, source.height)
    )
    columns = np.minimum(
        side.corner + side.stride * np.arange(side.columns), _last(side.corner, side.stride, source.width)
    )
    needed = before + rows[:, None] * source.width + columns[None] + 1
    return np.minimum(needed.reshape(-1), config.words(source))


def _last(corner: int, stride: int, size: int) -> int:
    """Return the last row or column within the source that a window's corner reaches."""
    return corner + stride * max((size - 1 - corner) // stride, 0)


def image_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of `hw.synapse.image_engine` or `hw.synapse.pixel_engine` for a static drive."""
    if bundle.full:
        return config.groups(bundle.post) * bundle.pre.neurons + PixelEngine.latency
    taps = bundle.kernel**2
    rounds = -(-taps // min(config.image_taps, taps))
    waits = max(rounds - 2, 0) * bundle.post.positions
    return (
        config.groups(bundle.post)
        * bundle.pre.channels
        * (taps + bundle.framed_positions + waits + rounds + 10)
    )


def update_cycles(config: Config, bundle: Bundle) -> int:
    """Return the cycles of a bundle's update engine in `hw.update`."""
    cycles, pre, post = config.item_cycles(bundle), bundle.pre, bundle.post
    if bundle.full:
        return cycles * layout.master_words(config, bundle) + 2 + correlator.latency(config, bundle)
    products = config.groups(post) * bundle.kernel**2 * config.lanes[pre.index] * post.positions
    end = cycles * config.words(post) + 6 + correlator.latency(config, bundle)
    return config.groups(pre) * (bundle.framed_positions + cycles * products + 5) + end
