"""Where a weight lives: torch's index to (word, lane) of a bundle's master memory, for gateware, benches and host.

Master memory of bundle n: words of `lanes[n]` weights, which share one pre neuron (or pre channel and tap).

- dense: tile = (pre word) * (post groups) + post group
- conv, image: tile = ((post group) * (pre groups) + pre group) * k*k + tap,  tap = ky*k + kx
- word = tile * lanes[n-1] + pre lane;  lane = post lane
- after all weights: one word per post group with the biases;
- then, where commits are centred (`Schedule.centred`), two words per `lanes[n]` of the pre channels with their running means:
  bits 0 to 15, and those above. Lanes that no channel has hold 0 after a commit.

The working memory has one word per tile, lane (pre lane) * lanes[n] + post lane; that of an event-driven conv engine, which
reads it only once per commit, one word per master word of weights.
"""

from .config import Config
from .messages import MASTER_BITS
from .shapes import Bundle


def tile_rows(config: Config, bundle: Bundle) -> int:
    """Master words in a word of the working memory."""
    return 1 if bundle.kind == "conv" and bundle.index in config.events else config.lanes[bundle.index - 1]


def tiles(config: Config, bundle: Bundle) -> int:
    """Words of the working memory."""
    return bundle.weights // (config.lanes[bundle.index] * tile_rows(config, bundle))


def weight_words(config: Config, bundle: Bundle) -> int:
    """Words of the master memory that hold weights; the biases follow."""
    return bundle.weights // config.lanes[bundle.index]


def master_words(config: Config, bundle: Bundle) -> int:
    """Words that updates go to: weights, then biases."""
    return weight_words(config, bundle) + config.groups(bundle.post)


def mean_words(config: Config, bundle: Bundle) -> int:
    """Words of running means, if commits are centred."""
    return 2 * -(-bundle.pre.channels // config.lanes[bundle.index]) if config.spec.schedule.centred else 0


def mean_halves(config: Config) -> tuple[int, int]:
    """Bits of a running mean in the first word of its pair, and in the second one; all bits above are 0."""
    low = min(MASTER_BITS, config.spec.mean_bits)
    return low, config.spec.mean_bits - low


def image_words(config: Config, bundle: Bundle) -> int:
    """All words of the master memory, as the host has them."""
    return master_words(config, bundle) + mean_words(config, bundle)
