"""Families of parts, and what the programs and files for them are called."""

from enum import Enum


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
