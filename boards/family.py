"""Families of parts, with the names of their programs and the suffix of their bitstreams."""

from enum import Enum
from typing import Any, Self

from nudge.plumbing.errors import DesignError


class Family(Enum):
    """A family of parts that a bitstream can be made for."""

    ICE40 = ("nextpnr-ice40", "icepack", "bin")
    ECP5 = ("nextpnr-ecp5", "ecppack", "bit")
    GOWIN = ("nextpnr-himbaechel-gowin", "gowin_pack", "fs")

    def __init__(self, nextpnr: str, packer: str, suffix: str):
        #: Program that places and routes.
        self.nextpnr = nextpnr
        #: Program that packs a routed design into a bitstream.
        self.packer = packer
        #: Suffix of a bitstream's file name, without the dot.
        self.suffix = suffix

    @classmethod
    def of(cls, platform: Any) -> Self:
        """Return the family of an Amaranth platform's part; `DesignError` for any other part."""
        tools = platform.required_tools
        for family in cls:
            if family.nextpnr in tools:
                return family
        raise cls.other(f"its platform takes {', '.join(tools)}")

    @classmethod
    def other(cls, found: str) -> DesignError:
        """Return the error for a part of no known family. found: cause, the first words of its message."""
        known = ", ".join(f"{family.name} ({family.nextpnr})" for family in cls)
        return DesignError(
            f"{found}, but bitstreams are made for these families: {known}; for other parts, nudge verilog"
        )
