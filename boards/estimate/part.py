"""What a part has, as nextpnr counts it, and how much of it a design may take."""

from dataclasses import dataclass

from plumbing.errors import DesignError

#: Names of what is counted.
CELLS, REGISTERS, BLOCKS, MULTIPLIERS = "cells", "flip-flops", "block RAM", "multipliers"


@dataclass(frozen=True)
class Part:
    """Logic cells (LUT4), flip-flops, blocks of RAM and multipliers."""

    name: str
    cells: int
    #: 0 where each is part of a cell.
    registers: int
    blocks: int
    multipliers: int
    #: Shares of the cells and of the flip-flops that a design may take, so that a router finds wires enough.
    routable: float
    routable_registers: float = 1.0

    @property
    def available(self) -> dict[str, int]:
        """By name."""
        every = {CELLS: self.cells, REGISTERS: self.registers, BLOCKS: self.blocks, MULTIPLIERS: self.multipliers}
        return {name: number for name, number in every.items() if number}

    def likely(self, cells: float, registers: float) -> bool:
        """Whether a router is likely to find wires enough for a design of this size."""
        few = cells <= self.routable * self.cells
        return few and (not self.registers or registers <= self.routable_registers * self.registers)


#: On the LFE5U-85F with its 83,640 cells, designs of 42,157, 44,996 and, not with every seed, 48,652 cells were routed, others
#: of 50,349 and more were not (docs/log/2026-11-26-routing.md); on the iCE40 `tiny`, with 4,977 of 5,280.
ECP5_ROUTABLE, ICE40_ROUTABLE = 0.54, 0.95

#: Of today's designs on that part those of 28,559 and 30,069 flip-flops were routed, with every seed that was tried, one of
#: 33,128 hardly ever, in fewer cells than others that were (docs/log/2026-11-27-export.md). What is between them isn't known.
ECP5_ROUTABLE_REGISTERS = 0.36

PARTS = {
    part.name: part
    for part in (
        Part("LFE5U-25F", 24_288, 24_288, 56, 28, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5U-45F", 43_848, 43_848, 108, 72, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5U-85F", 83_640, 83_640, 208, 156, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("iCE40UP5K", 5_280, 0, 30, 8, ICE40_ROUTABLE),
    )
}

#: Cells of a design that is simulated: a larger one takes longer to compile, and each of its cycles longer to simulate.
SIMULATED_CELLS = 24_000

#: What lanes are chosen for in simulation: nothing else is scarce, and where no design is so small the smallest one is taken.
SIMULATED = Part("simulation", 1 << 20, 0, 1 << 20, 1 << 20, SIMULATED_CELLS / (1 << 20))


def part_of(device: str) -> Part:
    """The part that an Amaranth platform calls its device; `DesignError` lists those that are known."""
    if device not in PARTS:
        raise DesignError(f"there is no estimate for a {device}: only for {', '.join(PARTS)}")
    return PARTS[device]
