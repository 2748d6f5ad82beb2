"""Numbers with fewer bits: rounded, or the nearest that is allowed."""

from amaranth.hdl import Mux


def half_up(value, places: int):
    """A value without its ``places`` lowest bits, rounded half up."""
    return (value + (1 << places >> 1)) >> places


def clipped(value, bits: int):
    """A signed value, or the nearest in 0..2^bits; from 2^bits on a bit is set above the low ones."""
    return Mux(value[-1], 0, Mux((value >> bits).any(), 1 << bits, value[:bits]))


def limited(value, most: int):
    """A signed value, or the nearest in -most..most."""
    return Mux(value > most, most, Mux(value < -most, -most, value))
