"""Clipping to constant bounds, in less logic than two comparisons of the value's width."""

from amaranth.hdl import Mux, Value

from nudge.golden.contract.formats import signed_bits


def clipped(value: Value, bound: int) -> Value:
    """Return a signed value clipped to -bound..bound.

    The bound's trailing zeros need no comparison; above the bound's top bit, a value in range has
    sign bits only.
    """
    zeros = (bound & -bound).bit_length() - 1
    bound_top = bound >> zeros
    bits = bound_top.bit_length()
    top, sign = value[zeros:], value[-1]
    low, rest = top[:bits], top[bits:-1]
    above = ~sign & (rest.any() | (low >= bound_top))
    below = sign & (~rest.all() | (low < (1 << bits) - bound_top))
    kept = value[: signed_bits(-bound, bound)].as_signed()
    return Mux(above, bound, Mux(below, -bound, kept))
