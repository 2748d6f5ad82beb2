"""Where the event engine keeps the folded kernels: which weight lies in which unit, at which index.

A *spike window* is what the engine works on at a time: 2x2 blocks of spikes. Each of its neurons is
a candidate, which has a place: a unit, and an index in it.
"""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.event_units import (
    BACKWARD_CHANNELS,
    CANDIDATES,
    FORWARD_CHANNELS,
    KERNEL,
    SPOTS,
    banks,
)
from golden.contract.shapes import Bundle

#: Side of the folded kernel: two blocks of two taps in each direction.
SIDE = KERNEL + 1
#: Backward weights of neighbouring columns that are written at once: two of these widths fill the
#: words of distributed memory, which have four bits.
PAIR = 2


def kernel_word(*, units, chunks, lanes, bits):
    """Some weights of one candidate of one unit: lanes ``chunk * lanes`` and following."""
    return data.StructLayout(
        {
            "unit": unsigned(bits_for(units - 1)),
            "index": unsigned(bits_for(CANDIDATES - 1)),
            "chunk": unsigned(bits_for(chunks - 1)),
            "weights": data.ArrayLayout(signed(bits), lanes),
        }
    )


def weight_bits(config: Config) -> int:
    """A folded weight is the sum of up to four."""
    return config.spec.formats.weight_bits + 2


def forward_word(config: Config, bundle: Bundle):
    """Kernels from pre candidates, a group of post channels at a time.

    Unit and index are the `forward_place` of the folded tap (2 jy + sy, 2 jx + sx), from pre
    position (2 (py + jy) + sy, 2 (px + jx) + sx) to pooled position (py, px). Lane: post channel.
    """
    units, lanes = SPOTS * banks(bundle.pre.channels, FORWARD_CHANNELS), config.lanes[bundle.index]
    chunks = config.groups(bundle.post)
    return kernel_word(units=units, chunks=chunks, lanes=lanes, bits=weight_bits(config))


def backward_word(config: Config, bundle: Bundle):
    """Kernels from post candidates, two weights at a time.

    Unit and index are the `backward_place` of block (1 - jy, 1 - jx). Lane: (pre group, sy,
    pre lane, sx), of the block of pre positions.
    """
    units = SPOTS * banks(bundle.post.channels, BACKWARD_CHANNELS)
    chunks = SPOTS * bundle.pre.channels // PAIR
    return kernel_word(units=units, chunks=chunks, lanes=PAIR, bits=weight_bits(config))
