"""Boards: facts that the gateware is built for, one file each."""

from dataclasses import dataclass

from golden.contract.protocol import WINDOW


@dataclass(frozen=True)
class Board:
    """A board's facts.

    name: lower case, one word. clock_hz: frequency of the `sync` domain. uart_divisor: clock cycles per bit of the serial line.
    window: requests that a host may have in flight; see `golden.contract.protocol.WINDOW`.
    """

    name: str
    clock_hz: int
    uart_divisor: int
    window: int = WINDOW

    @property
    def baud(self) -> float:
        """Bits per second of the serial line."""
        return self.clock_hz / self.uart_divisor
