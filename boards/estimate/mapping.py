"""Model of how Yosys maps a memory: to block RAM, distributed RAM or registers, and to how many blocks.

This is the rule of its pass `memory_libmap` for memories with one write port and one clock: the cheapest
geometry wins, by the costs in the families' libraries (brams_16kd.txt, lutrams_trellis.txt, and brams.txt of
the iCE40, of Yosys 0.70). tests/boards/estimate compares it with netlists that Yosys made.
"""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Shape:
    """A memory with one write port, as the gateware describes it."""

    #: Bits per word.
    width: int
    #: Number of words.
    depth: int
    #: Read ports that are used.
    reads: int = 1
    #: Equal parts of a word with a write enable each.
    parts: int = 1
    #: Asynchronous read, which block RAM doesn't have.
    combinational: bool = False
    #: `BlockMemory`: a read of the address that is being written returns an undefined word.
    undefined: bool = True
    #: `BlockMemory`: always block RAM, whatever the cost.
    forced: bool = False
    #: Number of memories of this shape.
    count: int = 1


@dataclass(frozen=True)
class Mapped:
    """Resources of all memories of a shape."""

    #: Block RAMs: of 18 kbit, on an iCE40 of 4 kbit.
    blocks: int = 0
    #: Distributed RAMs of 16 words by 4 bits.
    distributed: int = 0
    #: Sum over the read multiplexers of (inputs - 1) * bits; a multiplexer has an input for each row.
    multiplexed: int = 0
    #: Flip-flops of memories that are mapped to registers.
    registers: int = 0
    #: Output registers of distributed RAM, whose read is asynchronous.
    outputs: int = 0


@dataclass(frozen=True)
class Library:
    """The memory primitives of a family, with their costs in Yosys."""

    #: Pairs (width, words) of each kind of block.
    blocks: tuple[tuple[tuple[int, int], ...], ...]
    #: Cost of a block.
    cost: int
    #: Bits per write enable, in blocks that are at least as wide.
    byte: int
    #: Whether the family has distributed RAM.
    distributed: bool


#: ECP5: blocks of 18 kbit; the second kind has a port that only reads and one that only writes. iCE40: blocks
#: of 4 kbit.
ECP5 = Library(
    (((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024)), ((9, 2048), (18, 1024), (36, 512))),
    cost=128,
    byte=9,
    distributed=True,
)
ICE40 = Library((((2, 2048), (4, 1024), (8, 512), (16, 256)),), cost=64, byte=16, distributed=False)

#: Cost of a distributed RAM, of a multiplexer's input per bit, and of logic that emulates a port's property.
DISTRIBUTED, MULTIPLEXER, EMULATED = 4, 0.5, 2

#: Words of a distributed RAM, and bits per word.
WORDS, BITS = 16, 4


@lru_cache(maxsize=1 << 16)
def mapped(shape: Shape, library: Library = ECP5) -> Mapped:
    """Map the memories of a shape to the cheapest of block RAM, distributed RAM and registers."""
    width, depth, reads = shape.width, shape.depth, shape.reads
    rows = -(-depth // WORDS)
    distributed = rows * _padded(shape, BITS) // BITS
    blocks, rows_of_blocks, costs = 0, 1, {"registers": float(width * depth)}
    if library.distributed:
        costs["distributed"] = DISTRIBUTED * distributed * reads + _decoding(shape, rows) + EMULATED * reads
    if not shape.combinational:
        blocks, rows_of_blocks, costs["blocks"] = _blocks(shape, library)
    kind = "blocks" if shape.forced else min(costs, key=lambda name: costs[name])
    n = shape.count
    if kind == "blocks":
        return Mapped(blocks=n * blocks * reads, multiplexed=n * (rows_of_blocks - 1) * width * reads)
    if kind == "registers":
        return Mapped(registers=n * width * depth, multiplexed=n * (depth - 1) * width * reads)
    return Mapped(
        distributed=n * distributed * reads,
        multiplexed=n * (rows - 1) * width * reads,
        outputs=0 if shape.combinational else n * width * reads,
    )


def _padded(shape: Shape, byte: int) -> int:
    """Return the bits of a word in which each part is padded to a multiple of `byte` bits."""
    return shape.parts * -(-shape.width // shape.parts // byte) * byte


def _decoding(shape: Shape, rows: int) -> float:
    """Return the cost of selecting a row of memories: read multiplexers and write enables."""
    written = rows * shape.parts if rows > 1 else 0
    return MULTIPLEXER * ((rows - 1) * shape.width * shape.reads + written)


def _blocks(shape: Shape, library: Library) -> tuple[int, int, float]:
    """Return blocks per read port, rows of blocks, and cost, for the cheapest geometry."""
    best: tuple[int, int, float] | None = None
    # reading the old word of an address that is being written takes registers and multiplexers
    emulated = EMULATED * (shape.reads if shape.undefined else 4 * shape.reads + 3)
    for widths in library.blocks:
        found: tuple[int, int, float] | None = None
        for unit, words in widths:
            rows = -(-shape.depth // words)
            count = -(-rows * _padded(shape, min(unit, library.byte)) // unit)
            cost = library.cost * count * shape.reads + _decoding(shape, rows) + emulated
            # Yosys compares with the integer part of the best cost so far
            if found is None or cost < int(found[2]):
                found = count, rows, cost
        assert found is not None
        if best is None or found[2] < best[2]:
            best = found
    assert best is not None
    return best
