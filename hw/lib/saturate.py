"""Saturation to the range of a signed width."""

from amaranth.hdl import Cat, Mux


def saturated(value, bits):
    """min(max(value, -2^(bits-1)), 2^(bits-1) - 1) of a signed value; powers of two need no comparator."""
    sign, above = value[-1], value[bits - 1 :]
    fits = above.all() | ~above.any()
    return Mux(fits, value[:bits], Cat((~sign).replicate(bits - 1), sign)).as_signed()
