"""Boards: facts that the gateware is built for, one file each."""

from dataclasses import dataclass

from golden.contract.protocol import WINDOW


@dataclass(frozen=True)
class BoardFacts:
    """What the gateware must know of the board that it runs on."""

    #: Lower case, one word.
    name: str
    #: Frequency of the `sync` domain.
    clock_hz: int
    #: Clock cycles per bit of the serial line.
    uart_divisor: int
    #: Requests that a host may have in flight; see `golden.contract.protocol.WINDOW`.
    window: int = WINDOW
    #: It has an SDRAM of 32 MB, and samples of its network can be stored there.
    sdram: bool = False

    @property
    def baud(self) -> float:
        """Bits per second of the serial line."""
        return self.clock_hz / self.uart_divisor
