"""Where Yosys puts a memory on an ECP5: block RAM, distributed RAM or registers, and how many blocks.

The rule of its pass `memory_libmap` with the costs of the family's libraries (share/lattice/brams_16kd.txt, lutrams_trellis.txt
of Yosys 0.70), for memories of one write port and one clock: the cheapest of all geometries is taken. tests/boards/estimate
compares it with what Yosys reported of whole designs.
"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Shape:
    """A memory of one write port, as gateware makes it."""

    #: Bits of a word, and words.
    width: int
    depth: int
    #: Read ports that something reads.
    reads: int = 1
    #: Equal parts of a word that are written alone.
    parts: int = 1
    #: Read in the same cycle: no block RAM can.
    combinational: bool = False
    #: `BlockMemory`: what is read while it is written is undefined.
    undefined: bool = True
    #: How many of these there are.
    count: int = 1


@dataclass(frozen=True)
class Mapped:
    """What all memories of a shape become."""

    #: Blocks of 18 kbit.
    blocks: int = 0
    #: Distributed RAM, 16 words of 4 bits each.
    distributed: int = 0
    #: Inputs of the multiplexers behind several of them, less one, times bits.
    multiplexed: int = 0
    #: Registers in place of a memory.
    registers: int = 0
    #: Registers behind distributed RAM, which has none of its own.
    outputs: int = 0


#: Cost of a block RAM and of a distributed one, of a multiplexer's input, and of what is added to a port.
BLOCK, DISTRIBUTED, MULTIPLEXER, EMULATED = 128, 4, 0.5, 2

#: Address bits of a block as wide as one bit, and widths that it can have, each with an address bit less; wider than 18 only
#: with ports that read or write alone, which are written 36 bits wide or 9 of these.
BLOCK_ADDRESS, WIDTHS, SINGLE_WIDTHS, BYTE = 14, (1, 2, 4, 9, 18), (9, 18, 36), 9

#: Words and bits of a distributed RAM.
WORDS, BITS = 16, 4


@cache
def mapped(shape: Shape) -> Mapped:
    """What becomes of a memory."""
    width, depth, reads = shape.width, shape.depth, shape.reads
    if reads == 0:
        return Mapped()
    rows = -(-depth // WORDS)
    distributed = rows * _padded(shape, BITS) // BITS
    costs = {
        "registers": float(width * depth),
        "distributed": DISTRIBUTED * distributed * reads + _decoding(shape, rows) + EMULATED * reads,
    }
    blocks = 0
    if not shape.combinational:
        blocks, costs["blocks"] = _blocks(shape)
    kind = min(costs, key=lambda name: costs[name])
    n = shape.count
    if kind == "blocks":
        return Mapped(blocks=n * blocks * reads)
    if kind == "registers":
        return Mapped(registers=n * width * depth, multiplexed=n * (depth - 1) * width * reads)
    return Mapped(
        distributed=n * distributed * reads,
        multiplexed=n * (rows - 1) * width * reads,
        outputs=0 if shape.combinational else n * width * reads,
    )


def _padded(shape: Shape, byte: int) -> int:
    """Bits of a word whose parts begin at multiples of what is written alone."""
    return shape.parts * -(-shape.width // shape.parts // byte) * byte


def _decoding(shape: Shape, rows: int) -> float:
    """Cost of choosing among rows of memories, at reads and at writes."""
    written = rows * shape.parts if rows > 1 else 0
    return MULTIPLEXER * ((rows - 1) * shape.width * shape.reads + written)


def _blocks(shape: Shape) -> tuple[int, float]:
    """Blocks, for one read port, and their cost, of the cheapest geometry."""
    best: tuple[int, float] | None = None
    # to read the old word while a new one is written takes registers and multiplexers
    emulated = EMULATED * (shape.reads if shape.undefined else 4 * shape.reads + 3)
    for widths in (WIDTHS, SINGLE_WIDTHS):
        found: tuple[int, float] | None = None
        for unit in widths:
            words = 1 << (BLOCK_ADDRESS - (unit.bit_length() - 1))
            rows = -(-shape.depth // words)
            count = -(-rows * _padded(shape, min(unit, BYTE)) // unit)
            cost = BLOCK * count * shape.reads + _decoding(shape, rows) + emulated
            # Yosys compares with the whole part of the cost of the last one
            if found is None or cost < int(found[1]):
                found = count, cost
        assert found is not None
        if best is None or found[1] < best[1]:
            best = found
    assert best is not None
    return best
