"""The executable specification: number formats, networks, and bit-exact and floating-point models (torch)."""
