"""The executable specification: number formats, networks, and the bit-exact model (torch)."""
