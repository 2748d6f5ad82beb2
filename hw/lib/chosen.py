"""One of a few values, by its number."""

from amaranth.hdl import Mux


def chosen(number, values):
    """The value with this number, from 0; of a number beyond them the last one. Of one value nothing is looked at."""
    *others, found = values
    for n, value in reversed(list(enumerate(others))):
        found = Mux(number == n, value, found)
    return found
