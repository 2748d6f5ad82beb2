"""What SDR SDRAM chips ask for, in nanoseconds, and what that is in cycles of the core's clock.

The chips are those of 16 bits that ULX3S boards carry. Which one a board has isn't known when it is built for, so the slowest
value counts.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from math import ceil, floor

#: REFRESH commands of the power-up sequence: 2 or 8, by chip.
REFRESHES = 8

#: Cycles from READ to its word. 2 is enough up to a clock of 100 MHz, on all of them.
CAS_LATENCY, FASTEST_HZ = 2, 100_000_000

#: Mode register: single words, CAS latency. Every word has its own command, so a burst has any length.
MODE = CAS_LATENCY << 4


@dataclass(frozen=True)
class Chip:
    """Times in ns, of the slowest speed grade sold with a CAS latency of 2 at 100 MHz; the last two are clocks."""

    #: ACTIVATE to READ or WRITE; PRECHARGE to ACTIVATE or REFRESH; ACTIVATE to PRECHARGE; ACTIVATE to ACTIVATE or REFRESH.
    rcd: float
    rp: float
    ras: float
    rc: float
    #: REFRESH to ACTIVATE or REFRESH.
    rfc: float
    #: Last word written to PRECHARGE, beside `wr_clocks`.
    wr: float
    #: MODE to ACTIVATE.
    mrd: float
    #: From one REFRESH to the next, in the mean: 8,192 in 64 ms.
    refresh: float
    #: A stable clock before the first command.
    power_up: float
    wr_clocks: int
    mrd_clocks: int


#: By name; where each row is from.
CHIPS = {
    # Alliance Memory, AS4C16M16SA, Rev. 3.0, March 2015, table 16, grade -7
    "AS4C16M16SA-7": Chip(21, 21, 42, 63, 63, 14, 14, 7800, 200_000, 0, 2),
    # Alliance Memory, AS4C32M16SB, table 16, grade -7
    "AS4C32M16SB-7": Chip(21, 21, 42, 63, 63, 14, 14, 7800, 200_000, 0, 2),
    # Micron, "256Mb: x4, x8, x16 SDRAM", table 12, grade -75; with auto precharge tWR is a clock and 7.5 ns, else 15 ns
    "MT48LC16M16A2-75": Chip(20, 20, 44, 66, 66, 7.5, 0, 7812.5, 100_000, 1, 2),
    # ISSI, IS42S16160G, grade -7: tRCD, tRP, tRAS, tRC, tMRD as the open controller `amaram` quotes the data sheet; the
    # others as LiteDRAM 2024.12 (`IS42S16160`) runs it, which is on the slow side
    "IS42S16160G-7": Chip(20, 20, 37, 60, 70, 20, 14, 7812.5, 200_000, 0, 2),
}


def slowest(name: str) -> float:
    """The value that suits every chip: of what is a minimum the largest, of the refresh interval the smallest."""
    values = [getattr(chip, name) for chip in CHIPS.values()]
    return min(values) if name == "refresh" else max(values)


@dataclass(frozen=True)
class Cycles:
    """The same in cycles: at least so many from one command to the next; `refresh` at most, REFRESH to REFRESH.

    wr counts from the WRITE of the last word. tRRD isn't here: there is never more than one row open.
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
        """For the slowest chip at this clock; `ValueError` if it is too fast for it, or too slow to refresh it."""
        if clock_hz > FASTEST_HZ:
            fastest = f"{FASTEST_HZ / 1e6:g} MHz"
            raise ValueError(f"with CAS latency {CAS_LATENCY} the clock may have {fastest}, not {clock_hz / 1e6:g} MHz")

        def clocks(name: str) -> Fraction:
            return Fraction(slowest(name)) * clock_hz / 10**9

        made = {field.name: max(ceil(clocks(field.name)), 1) for field in fields(cls)}
        made["refresh"] = floor(clocks("refresh"))
        made["wr"] = max(ceil(Fraction(chip.wr) * clock_hz / 10**9) + chip.wr_clocks for chip in CHIPS.values())
        made["mrd"] = max(made["mrd"], *(chip.mrd_clocks for chip in CHIPS.values()))
        return cls(**made)

    def longest(self, burst: int) -> int:
        """Cycles from the ACTIVATE of an access of `burst` words to the next command, at most."""
        last = self.rcd + burst - 1
        read = max(last, self.ras - 1) + 1 + self.rp
        write = max(last, self.ras - self.wr) + self.wr + self.rp
        return max(read, write, self.rc)
