"""Saturation to what a signed width holds."""

from amaranth.hdl import Cat, Mux


def saturated(value, bits):
    """A signed value in fewer bits: the nearest that they hold. Needs no comparator, as both ends are powers of two."""
    sign, above = value[-1], value[bits - 1 :]
    fits = above.all() | ~above.any()
    return Mux(fits, value[:bits], Cat((~sign).replicate(bits - 1), sign)).as_signed()
