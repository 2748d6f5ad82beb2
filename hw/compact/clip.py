"""Clipping between constants, in less logic than two comparisons as wide as the value."""

from amaranth.hdl import Mux, Value

from golden.contract.formats import signed_bits


def clipped(value: Value, bound: int) -> Value:
    """A signed value, or the nearest one in -bound..bound.

    Zeros at the bound's end need no comparison. Above the bits that the bound has, a value within it
    repeats its sign.
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
