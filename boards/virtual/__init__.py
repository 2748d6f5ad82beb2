"""The virtual board: `hw.top.Top` in Verilator, its serial line as a pseudo-terminal or a TCP port."""

from dataclasses import replace

from nudge.boards import BoardFacts

#: Both ends of the serial line share the simulated clock, so a bit takes a single cycle and the line never
#: limits the rate. The window is the largest of the boards here.
VIRTUAL = BoardFacts("virtual", clock_hz=48_000_000, uart_divisor=1, window=32)

#: The virtual board with an SDRAM.
VIRTUAL_SDRAM = replace(VIRTUAL, sdram=True)
