"""Layout of the folded kernels in the event engine: the unit and index of each weight.

`golden.contract.event_units` defines spike windows, their candidates and the places of these.
"""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.event_units import CANDIDATES, KERNEL, adder_sizes
from nudge.golden.contract.shapes import Bundle

#: Side of the folded kernel: two blocks of two taps in each direction.
SIDE = KERNEL + 1
#: Backward weights of neighbouring columns that are written at once: the words of distributed memory have
#: four bits, and two weights of this width fill them without a rest.
PAIR = 2


def weight_bits(config: Config) -> int:
    """Width of a folded weight, the sum of up to four weights."""
    return config.spec.formats.weight_bits + 2


def adder_shape(config: Config, bundle: Bundle, direction: str) -> dict[str, int]:
    """Return the units and lanes of a direction's adder, the chunks in which a kernel's lanes are written,
    and the width of a weight.

    - forward: kernels of pre candidates; lane = post channel, chunk = post group. Unit and index are the
      `forward_place` of the folded tap (2 jy + sy, 2 jx + sx), from pre position (2 (py + jy) + sy,
      2 (px + jx) + sx) to pooled position (py, px).
    - backward: kernels of post candidates; lane = (pre group, sy, pre lane, sx) in the block of pre
      positions, chunk = two lanes. Unit and index are the `backward_place` of block (1 - jy, 1 - jx).
    """
    units, lanes = adder_sizes(bundle)[direction]
    of_chunk = {"forward": config.lanes[bundle.index], "backward": PAIR}[direction]
    return {"units": units, "lanes": lanes, "chunks": lanes // of_chunk, "weight_bits": weight_bits(config)}


def kernel_word(*, units, lanes, chunks, weight_bits):
    """Return the layout of a chunk of one candidate's kernel: the ``lanes // chunks`` weights from lane
    ``chunk * lanes / chunks`` on."""
    return data.StructLayout(
        {
            "unit": unsigned(bits_for(units - 1)),
            "index": unsigned(bits_for(CANDIDATES - 1)),
            "chunk": unsigned(bits_for(chunks - 1)),
            "weights": data.ArrayLayout(signed(weight_bits), lanes // chunks),
        }
    )
