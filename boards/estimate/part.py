"""Resources of the parts, as nextpnr counts them, and the share that a routable design may take."""

from dataclasses import dataclass

from nudge.plumbing.errors import DesignError

#: Names of the resources.
CELLS, REGISTERS, BLOCKS, MULTIPLIERS = "cells", "flip-flops", "block RAM", "multipliers"


@dataclass(frozen=True)
class Part:
    """A part, with its logic cells (LUT4), flip-flops, block RAMs and multipliers."""

    name: str
    cells: int
    #: 0 if each flip-flop is part of a logic cell.
    registers: int
    blocks: int
    multipliers: int
    #: Shares of the cells and of the flip-flops up to which a router is likely to find enough wires.
    routable: float
    routable_registers: float = 1.0

    @property
    def available(self) -> dict[str, int]:
        """Number of each resource by name, without those that the part lacks."""
        every = {
            CELLS: self.cells,
            REGISTERS: self.registers,
            BLOCKS: self.blocks,
            MULTIPLIERS: self.multipliers,
        }
        return {name: number for name, number in every.items() if number}

    def likely(self, cells: float, registers: float) -> bool:
        """Return whether a router is likely to find enough wires for a design of this size."""
        few = cells <= self.routable * self.cells
        return few and (not self.registers or registers <= self.routable_registers * self.registers)


#: Largest estimates, as shares of a part's, with which a router is likely to find enough wires. On the
#: LFE5U-85F with its 83,640 cells an earlier `medium` was routed with every seed that was tried, with 48,232
#: cells (estimated 45,938) and 33,917 flip-flops (31,450); a design of 50,349 cells wasn't
#: (docs/log/2026-11-26-routing.md), and one of 33,128 flip-flops (32,297 estimated) hardly ever was
#: (docs/log/2026-11-27-export.md). All had half a spacer for each flip-flop; with a third `medium` is routed
#: beyond both limits (docs/log/2026-12-02-clock.md). On the iCE40, `tiny` was routed with 5,055 of 5,280
#: cells.
ECP5_ROUTABLE, ICE40_ROUTABLE = 0.55, 0.95
ECP5_ROUTABLE_REGISTERS = 0.38
#: On the GW2A-18, `tiny` was routed with 11,072 of 20,736 LUTs, 3,392 of 15,552 adders, which lie in the same
#: places as LUTs, and 7,309 of 15,552 flip-flops; nothing larger was tried.
GOWIN_ROUTABLE = 0.7

PARTS = {
    part.name: part
    for part in (
        Part("LFE5U-25F", 24_288, 24_288, 56, 28, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5U-45F", 43_848, 43_848, 108, 72, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5U-85F", 83_640, 83_640, 208, 156, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5UM5G-45F", 43_848, 43_848, 108, 72, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("LFE5UM5G-85F", 83_640, 83_640, 208, 156, ECP5_ROUTABLE, ECP5_ROUTABLE_REGISTERS),
        Part("iCE40UP5K", 5_280, 0, 30, 8, ICE40_ROUTABLE),
        Part("GW2A-18", 20_736, 15_552, 46, 48, GOWIN_ROUTABLE),
        Part("GW2AR-18C", 20_736, 15_552, 46, 48, GOWIN_ROUTABLE),
    )
}

#: Maximum cells of a simulated design; a larger one takes longer to compile and to simulate.
SIMULATED_CELLS = 24_000

#: The part that lanes are chosen for in simulation. Only its cells are limited, by `routable`, so that the
#: smallest design is taken if none is below the limit.
SIMULATED = Part("simulation", 1 << 20, 0, 1 << 20, 1 << 20, SIMULATED_CELLS / (1 << 20))


def part_of(device: str) -> Part:
    """Return the part with the name of an Amaranth platform's `device`; `DesignError` for an unknown one."""
    if device not in PARTS:
        raise DesignError(f"there is no estimate for a {device}: only for {', '.join(PARTS)}")
    return PARTS[device]
