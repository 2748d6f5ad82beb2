"""How many adders an event-driven synapse engine has: gateware builds them, the benchmark counts them."""

from .shapes import Bundle

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
