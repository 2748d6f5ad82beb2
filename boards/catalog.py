"""All boards with a real part, by name."""

from golden.contract.errors import DesignError

from .fpga import Fpga
from .icebreaker import ICEBREAKER
from .orangecrab import ORANGECRAB
from .ulx3s import ULX3S, ULX3S_25F, ULX3S_45F

BOARDS: dict[str, Fpga] = {fpga.name: fpga for fpga in (ICEBREAKER, ORANGECRAB, ULX3S, ULX3S_45F, ULX3S_25F)}


def board(name: str) -> Fpga:
    """The board of that name; `DesignError` lists the names there are."""
    if name not in BOARDS:
        raise DesignError(f"unknown board {name!r}: choose one of {', '.join(BOARDS)}")
    return BOARDS[name]
