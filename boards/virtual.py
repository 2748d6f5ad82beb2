"""The virtual board: `hw.top.Top` compiled by Verilator, its serial pins bridged to a
pseudo-terminal or a TCP port."""

from dataclasses import replace

from . import BoardFacts

#: Both ends of its serial line share the simulated clock, so that a bit may be as short as a cycle:
#: the line never limits. The window is the largest that a board here has.
VIRTUAL = BoardFacts("virtual", clock_hz=48_000_000, uart_divisor=1, window=32)

#: The same with an SDRAM.
VIRTUAL_SDRAM = replace(VIRTUAL, sdram=True)
