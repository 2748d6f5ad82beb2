"""Adder units of an event-driven synapse engine and the candidates of each.

Gateware, benchmark and model read this module.

The engine works on one *spike window* at a time: 2x2 blocks of spikes. Each neuron of the window is a
candidate, with a place: a unit, and an index within the unit.
"""

from .shapes import Bundle

#: Kernel side of the convolutions with event-driven engines: a spike then reaches exactly two pooled rows and
#: columns.
KERNEL = 3
#: Candidates whose kernels one unit holds: the depth of the parts' smallest distributed memory.
CANDIDATES = 16
#: Positions of a block of the pre layer (2x2).
SPOTS = 4
#: Channels that one unit takes from each of the four blocks of a forward window.
FORWARD_CHANNELS = CANDIDATES // SPOTS
#: Channels that one unit takes from its one block of a backward window.
BACKWARD_CHANNELS = CANDIDATES


def takes(bundle: Bundle) -> bool:
    """Return whether an event-driven engine can process the bundle; if not, it has another one."""
    return bundle.kind == "conv" and bundle.kernel == KERNEL and not bundle.padding


def banks(channels: int, of_unit: int) -> int:
    """Return ceil(channels / of_unit), the number of groups of four units."""
    return -(-channels // of_unit)


def adder_sizes(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Return for each direction (units, sums per window over all passes)."""
    pre, post = bundle.pre.channels, bundle.post.channels
    return {
        "forward": (SPOTS * banks(pre, FORWARD_CHANNELS), post),
        "backward": (SPOTS * banks(post, BACKWARD_CHANNELS), SPOTS * pre),
    }


def forward_place(channels: int, block: int, spot: int, channel: int) -> tuple[int, int]:
    """Return unit and index of a candidate of a forward window: block 2 jy + jx, spot 2 sy + sx within the
    block.

    A window takes as long as its busiest unit, and spikes cluster: at neighbouring spots, and in channels
    that nearly always fire. So a unit takes a few channels of each block, each at another spot, and other
    channels of each block.
    """
    units = banks(channels, FORWARD_CHANNELS)
    turn, rest = divmod(channel, units)
    unit = (spot + turn) % SPOTS * units + (rest + block) % units
    return unit, block * FORWARD_CHANNELS + turn


def backward_place(channels: int, block: int, channel: int) -> tuple[int, int]:
    """Return unit and index of a candidate of a backward window: block 2 jy + jx, a single position."""
    index, bank = divmod(channel, banks(channels, BACKWARD_CHANNELS))
    return block * banks(channels, BACKWARD_CHANNELS) + bank, index
