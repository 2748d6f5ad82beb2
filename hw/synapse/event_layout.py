"""Where the event engine keeps the folded kernels: which weight lies in which unit, at which index.

A *spike window* is what the engine works on at a time: 2x2 blocks of spikes. Each of its neurons is
a candidate, which has a place: a unit, and an index in it.
"""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.event_units import CANDIDATES, KERNEL, adder_sizes
from golden.contract.shapes import Bundle

#: Side of the folded kernel: two blocks of two taps in each direction.
SIDE = KERNEL + 1
#: Backward weights of neighbouring columns that are written at once: two of these widths fill the
#: words of distributed memory, which have four bits.
PAIR = 2


def weight_bits(config: Config) -> int:
    """A folded weight is the sum of up to four."""
    return config.spec.formats.weight_bits + 2


def adder_shape(config: Config, bundle: Bundle, direction: str) -> dict[str, int]:
    """Units and lanes of a direction's adder, the chunks in which a kernel's lanes are written, and the width
    of a weight.

    - forward: kernels of pre candidates; lane = post channel, a chunk a group of post channels. Unit and
      index are the `forward_place` of the folded tap (2 jy + sy, 2 jx + sx), from pre position (2 (py + jy) +
      sy, 2 (px + jx) + sx) to pooled position (py, px).
    - backward: kernels of post candidates; lane = (pre group, sy, pre lane, sx) of the block of pre
      positions, a chunk two lanes. Unit and index are the `backward_place` of block (1 - jy, 1 - jx).
    """
    units, lanes = adder_sizes(bundle)[direction]
    of_chunk = {"forward": config.lanes[bundle.index], "backward": PAIR}[direction]
    return {"units": units, "lanes": lanes, "chunks": lanes // of_chunk, "weight_bits": weight_bits(config)}


def kernel_word(*, units, lanes, chunks, weight_bits):
    """Some weights of one candidate of one unit: lanes ``chunk * lanes / chunks`` and following."""
    return data.StructLayout(
        {
            "unit": unsigned(bits_for(units - 1)),
            "index": unsigned(bits_for(CANDIDATES - 1)),
            "chunk": unsigned(bits_for(chunks - 1)),
            "weights": data.ArrayLayout(signed(weight_bits), lanes // chunks),
        }
    )
