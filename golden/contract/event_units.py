"""How many adders an event-driven synapse engine has, and which takes what: gateware builds them, benchmark and model count.

A *spike window* is what the engine works on at a time: 2x2 blocks of spikes. Each of its neurons is a candidate, which has
a place: a unit, and an index in it.
"""

from .shapes import Bundle

#: Kernel side of the convolutions that event-driven engines are for: a spike then meets exactly two pooled rows and columns.
KERNEL = 3
#: Candidates whose kernels one unit holds: the words of the parts' smallest distributed memory.
CANDIDATES = 16
#: Positions of a block of the pre layer.
SPOTS = 4
#: Channels of each block of a forward window that one unit takes, from all four blocks.
FORWARD_CHANNELS = CANDIDATES // SPOTS
#: Channels of the one block of a backward window that a unit takes.
BACKWARD_CHANNELS = CANDIDATES


def banks(channels: int, of_unit: int) -> int:
    """How many times four units there are."""
    return -(-channels // of_unit)


def adder_sizes(bundle: Bundle) -> dict[str, tuple[int, int]]:
    """Units of both directions' adders, and their sums of a window, of all passes."""
    pre, post = bundle.pre.channels, bundle.post.channels
    return {
        "forward": (SPOTS * banks(pre, FORWARD_CHANNELS), post),
        "backward": (SPOTS * banks(post, BACKWARD_CHANNELS), SPOTS * pre),
    }


def forward_place(channels: int, block: int, spot: int, channel: int) -> tuple[int, int]:
    """Unit and index of a candidate of a forward window: block 2 jy + jx, spot 2 sy + sx in it.

    The busiest unit is waited for, and spikes lie in clusters: at neighbouring spots, and in
    channels that nearly always fire. So of each block a unit takes a few channels, each at another
    spot, and of each block others.
    """
    units = banks(channels, FORWARD_CHANNELS)
    turn, rest = divmod(channel, units)
    unit = (spot + turn) % SPOTS * units + (rest + block) % units
    return unit, block * FORWARD_CHANNELS + turn


def backward_place(channels: int, block: int, channel: int) -> tuple[int, int]:
    """Unit and index of a candidate of a backward window: block 2 jy + jx, a single position."""
    index, bank = divmod(channel, banks(channels, BACKWARD_CHANNELS))
    return block * banks(channels, BACKWARD_CHANNELS) + bank, index
