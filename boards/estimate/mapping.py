"""Where Yosys puts a memory: block RAM, distributed RAM or registers, and how many blocks.

The rule of its pass `memory_libmap` with the costs of the families' libraries (brams_16kd.txt, lutrams_trellis.txt, and
brams.txt of the iCE40, of Yosys 0.70), for memories of one write port and one clock: the cheapest of all geometries is taken.
tests/boards/estimate compares it with what Yosys made of designs.
"""

from dataclasses import dataclass
from functools import lru_cache


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
    #: `BlockMemory`: block RAM whatever it costs.
    forced: bool = False
    #: How many of these there are.
    count: int = 1


@dataclass(frozen=True)
class Mapped:
    """What all memories of a shape become."""

    #: Blocks of RAM: 18 kbit, 4 of an iCE40.
    blocks: int = 0
    #: Distributed RAM, 16 words of 4 bits each.
    distributed: int = 0
    #: Inputs of the multiplexers behind rows of either, less one, times bits.
    multiplexed: int = 0
    #: Registers in place of a memory.
    registers: int = 0
    #: Registers behind distributed RAM, which has none of its own.
    outputs: int = 0


@dataclass(frozen=True)
class Library:
    """The memories of a family: what Yosys says that they cost."""

    #: Widths, each with its words, of each kind of block.
    blocks: tuple[tuple[tuple[int, int], ...], ...]
    #: Of a block.
    cost: int
    #: Bits that are written together at least, where a block is wider.
    byte: int
    #: Whether there is distributed RAM.
    distributed: bool


#: Blocks of 18 kbit, of which those of 36 bits read and write at different ports alone; of 4 kbit.
ECP5 = Library(
    (((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024)), ((9, 2048), (18, 1024), (36, 512))),
    cost=128,
    byte=9,
    distributed=True,
)
ICE40 = Library((((2, 2048), (4, 1024), (8, 512), (16, 256)),), cost=64, byte=16, distributed=False)

#: Cost of a distributed RAM, of a multiplexer's input, and of what is added to a port.
DISTRIBUTED, MULTIPLEXER, EMULATED = 4, 0.5, 2

#: Words and bits of a distributed RAM.
WORDS, BITS = 16, 4


@lru_cache(maxsize=1 << 16)
def mapped(shape: Shape, library: Library = ECP5) -> Mapped:
    """What becomes of a memory."""
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
    """Bits of a word whose parts begin at multiples of what is written alone."""
    return shape.parts * -(-shape.width // shape.parts // byte) * byte


def _decoding(shape: Shape, rows: int) -> float:
    """Cost of choosing among rows of memories, at reads and at writes."""
    written = rows * shape.parts if rows > 1 else 0
    return MULTIPLEXER * ((rows - 1) * shape.width * shape.reads + written)


def _blocks(shape: Shape, library: Library) -> tuple[int, int, float]:
    """Blocks, for one read port, rows of them, and their cost, of the cheapest geometry."""
    best: tuple[int, int, float] | None = None
    # to read the old word while a new one is written takes registers and multiplexers
    emulated = EMULATED * (shape.reads if shape.undefined else 4 * shape.reads + 3)
    for widths in library.blocks:
        found: tuple[int, int, float] | None = None
        for unit, words in widths:
            rows = -(-shape.depth // words)
            count = -(-rows * _padded(shape, min(unit, library.byte)) // unit)
            cost = library.cost * count * shape.reads + _decoding(shape, rows) + emulated
            # Yosys compares with the whole part of the cost of the last one
            if found is None or cost < int(found[2]):
                found = count, rows, cost
        assert found is not None
        if best is None or found[2] < best[2]:
            best = found
    assert best is not None
    return best
