"""A multiplexer of a few values."""

from amaranth.hdl import Mux


def chosen(number, values):
    """``values[number]``, or the last value for a larger number. With one value, ``number`` isn't used."""
    *others, found = values
    for n, value in reversed(list(enumerate(others))):
        found = Mux(number == n, value, found)
    return found
