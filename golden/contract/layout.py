"""Memory layout of weights: from torch's index to (word, lane) of a bundle's master memory.

Gateware, benches and host read this module.

The master memory of bundle n has words of `lanes[n]` weights, which share one pre neuron (or pre channel and
tap):

- dense: tile = (pre word) * (post groups) + post group
- conv, image: tile = ((post group) * (pre groups) + pre group) * k*k + tap,  tap = ky*k + kx
- word = tile * lanes[n-1] + pre lane;  lane = post lane
- after all weights: one word per post group with the biases;
- then, with centred commits (`Schedule.centred`), two words of running means per `lanes[n]` pre channels:
  bits 0 to 15, then the bits above. After a commit, lanes without a channel hold 0.

The working memory has one word per tile, lane (pre lane) * lanes[n] + post lane. An event-driven conv engine
reads it only once per commit, a scatter engine for a single pre channel; there it has one word per master
word of weights.
"""

from .config import Config
from .messages import MASTER_BITS
from .shapes import Bundle


def tile_rows(config: Config, bundle: Bundle) -> int:
    """Return the number of master words in one word of the working memory."""
    return 1 if config.engine(bundle) in ("event", "scatter") else config.lanes[bundle.index - 1]


def tiles(config: Config, bundle: Bundle) -> int:
    """Return the number of words of the working memory."""
    return bundle.weights // (config.lanes[bundle.index] * tile_rows(config, bundle))


def weight_words(config: Config, bundle: Bundle) -> int:
    """Return the number of master-memory words with weights; the biases follow."""
    return bundle.weights // config.lanes[bundle.index]


def master_words(config: Config, bundle: Bundle) -> int:
    """Return the number of words that updates are added to: weights, then biases."""
    return weight_words(config, bundle) + config.groups(bundle.post)


def mean_words(config: Config, bundle: Bundle) -> int:
    """Return the number of words with running means; 0 unless commits are centred."""
    return 2 * -(-bundle.pre.channels // config.lanes[bundle.index]) if config.spec.schedule.centred else 0


def mean_halves(config: Config) -> tuple[int, int]:
    """Return the widths of a running mean's low and high part (first, second word); all bits above are 0."""
    low = min(MASTER_BITS, config.spec.mean_bits)
    return low, config.spec.mean_bits - low


def image_words(config: Config, bundle: Bundle) -> int:
    """Return the number of words of the whole master memory, as the host reads and writes it."""
    return master_words(config, bundle) + mean_words(config, bundle)
