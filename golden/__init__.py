"""The executable specification: number formats, networks, and bit-exact and floating-point models (torch)."""

#: What pip calls the project: `nudge` is another one on PyPI.
DISTRIBUTION = "nudge-fpga"
