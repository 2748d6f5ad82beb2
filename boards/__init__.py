"""Boards that the gateware is built for: one file each."""

from dataclasses import dataclass

from nudge.golden.contract.protocol import WINDOW


@dataclass(frozen=True)
class BoardFacts:
    """The facts of a board that the gateware is built for."""

    #: Name of the board, one word in lower case.
    name: str
    #: Frequency of the `sync` domain.
    clock_hz: int
    #: Clock cycles per bit of the serial line.
    uart_divisor: int
    #: Requests that a host may send before the first answer; see `golden.contract.protocol.WINDOW`.
    window: int = WINDOW
    #: Whether the board has an SDRAM of 32 MB in which samples of its network can be stored.
    sdram: bool = False

    @property
    def baud(self) -> float:
        """Bits per second of the serial line."""
        return self.clock_hz / self.uart_divisor
