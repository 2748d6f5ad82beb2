"""Families of parts, and what the programs and files for them are called."""

from enum import Enum
from typing import Any, Self

from plumbing.errors import DesignError


class Family(Enum):
    """A family of parts that a bitstream can be made for."""

    ICE40 = ("nextpnr-ice40", "icepack", "bin")
    ECP5 = ("nextpnr-ecp5", "ecppack", "bit")

    def __init__(self, nextpnr: str, packer: str, suffix: str):
        #: The program that places and routes.
        self.nextpnr = nextpnr
        #: The program that makes a bitstream of what was routed.
        self.packer = packer
        #: Of a bitstream's file name.
        self.suffix = suffix

    @classmethod
    def of(cls, platform: Any) -> Self:
        """The family of an Amaranth platform's part; `DesignError` for one of another vendor or family."""
        tools = platform.required_tools
        for family in cls:
            if family.nextpnr in tools:
                return family
        raise cls.other(f"its platform takes {', '.join(tools)}")

    @classmethod
    def other(cls, found: str) -> DesignError:
        """The error of a part that no bitstream can be made for. found: how that showed."""
        known = " and ".join(f"{family.name} ({family.nextpnr})" for family in cls)
        return DesignError(
            f"{found}, but bitstreams are made for Lattice parts alone, {known}: for another vendor's part, nudge verilog"
        )
