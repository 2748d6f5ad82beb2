"""Rounding, and clipping to a range."""

from amaranth.hdl import Mux


def half_up(value, places: int):
    """(value + 2^(places-1)) >> places: ``value`` without its ``places`` lowest bits, rounded half up.

    Integer model: `golden.model.ops.rhu`.
    """
    return (value + (1 << places >> 1)) >> places


def clipped(value, bits: int):
    """min(max(value, 0), 2^bits) of a signed value, without a comparator."""
    return Mux(value[-1], 0, Mux((value >> bits).any(), 1 << bits, value[:bits]))


def limited(value, most: int):
    """min(max(value, -most), most) of a signed value."""
    return Mux(value > most, most, Mux(value < -most, -most, value))
