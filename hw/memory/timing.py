"""Timing of SDR SDRAM chips in nanoseconds, and in cycles of the core's clock.

The chips are the 16-bit ones of ULX3S boards. A build doesn't know the chip of its board, so it uses the
slowest value.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from math import ceil, floor

#: REFRESH commands in the power-up sequence: chips require 2 or 8.
REFRESHES = 8

#: Cycles from READ to its word, and the highest clock in Hz at which 2 are enough for all chips.
CAS_LATENCY, FASTEST_HZ = 2, 100_000_000

#: Mode register: CAS latency, burst length 1. Each word has its own command, so accesses have any length.
MODE = CAS_LATENCY << 4


@dataclass(frozen=True)
class Chip:
    """Times in ns of the slowest speed grade with CAS latency 2 at 100 MHz; the last two in clock cycles."""

    #: ACTIVATE to READ or WRITE; PRECHARGE to ACTIVATE or REFRESH; ACTIVATE to PRECHARGE; ACTIVATE to
    #: ACTIVATE or REFRESH.
    rcd: float
    rp: float
    ras: float
    rc: float
    #: REFRESH to ACTIVATE or REFRESH.
    rfc: float
    #: Last word written to PRECHARGE, in addition to `wr_clocks`.
    wr: float
    #: MODE to ACTIVATE.
    mrd: float
    #: Mean interval between two REFRESHes: 8,192 in 64 ms.
    refresh: float
    #: Stable clock before the first command.
    power_up: float
    wr_clocks: int
    mrd_clocks: int


#: Chips by name; the comment above each row names its source.
CHIPS = {
    # Alliance Memory, AS4C16M16SA, Rev. 3.0, March 2015, table 16, grade -7
    "AS4C16M16SA-7": Chip(21, 21, 42, 63, 63, 14, 14, 7800, 200_000, 0, 2),
    # Alliance Memory, AS4C32M16SB, table 16, grade -7
    "AS4C32M16SB-7": Chip(21, 21, 42, 63, 63, 14, 14, 7800, 200_000, 0, 2),
    # Micron, "256Mb: x4, x8, x16 SDRAM", table 12, grade -75; with auto precharge tWR is a clock and 7.5 ns,
    # else 15 ns
    "MT48LC16M16A2-75": Chip(20, 20, 44, 66, 66, 7.5, 0, 7812.5, 100_000, 1, 2),
    # ISSI, IS42S16160G, grade -7: tRCD, tRP, tRAS, tRC, tMRD as the open controller `amaram` quotes the data
    # sheet; the others as LiteDRAM 2024.12 (`IS42S16160`) has them, which are conservative
    "IS42S16160G-7": Chip(20, 20, 37, 60, 70, 20, 14, 7812.5, 200_000, 0, 2),
}


def slowest(name: str) -> float:
    """The value that suits every chip: the smallest refresh interval, the largest of all other times."""
    values = [getattr(chip, name) for chip in CHIPS.values()]
    return min(values) if name == "refresh" else max(values)


@dataclass(frozen=True)
class Cycles:
    """Minimum numbers of cycles between commands, named as in `Chip`; ``refresh`` is the maximum between two
    REFRESHes.

    ``wr`` counts from the WRITE of the last word. tRRD is missing, because at most one row is open.
    """

    rcd: int
    rp: int
    ras: int
    rc: int
    rfc: int
    wr: int
    mrd: int
    refresh: int
    power_up: int

    @classmethod
    def of(cls, clock_hz: int) -> "Cycles":
        """Cycles for the slowest chip at this clock; `ValueError` if the clock is above `FASTEST_HZ`."""
        if clock_hz > FASTEST_HZ:
            fastest = f"{FASTEST_HZ / 1e6:g} MHz"
            raise ValueError(
                f"with CAS latency {CAS_LATENCY} the clock may have {fastest}, not {clock_hz / 1e6:g} MHz"
            )

        def clocks(name: str) -> Fraction:
            return Fraction(slowest(name)) * clock_hz / 10**9

        made = {field.name: max(ceil(clocks(field.name)), 1) for field in fields(cls)}
        made["refresh"] = floor(clocks("refresh"))
        made["wr"] = max(
            ceil(Fraction(chip.wr) * clock_hz / 10**9) + chip.wr_clocks for chip in CHIPS.values()
        )
        made["mrd"] = max(made["mrd"], *(chip.mrd_clocks for chip in CHIPS.values()))
        return cls(**made)

    def longest(self, burst: int) -> int:
        """Maximum number of cycles from the ACTIVATE of an access of `burst` words to the next command."""
        last = self.rcd + burst - 1
        read = max(last, self.ras - 1) + 1 + self.rp
        write = max(last, self.ras - self.wr) + self.wr + self.rp
        return max(read, write, self.rc)
