"""Saturation to fewer bits, without a comparator."""

from amaranth.hdl import Cat, Mux


def saturated(value, bits: int):
    """A signed value in ``bits`` bits, signed: the nearest that they hold. Cheap, as both ends are powers of two."""
    sign, above = value[-1], value[bits - 1 :]
    fits = above.all() | ~above.any()
    return Mux(fits, value[:bits], Cat((~sign).replicate(bits - 1), sign)).as_signed()
