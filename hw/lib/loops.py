"""Loops in hardware: counters that begin again at 0."""

from contextlib import contextmanager


@contextmanager
def counting(m, counter, size: int):
    """Adds 1 to ``counter``, modulo ``size``. Statements inside hold in the cycle in which it goes back to 0.

    Several in one ``with`` are nested loops, innermost first.
    """
    m.d.sync += counter.eq(counter + 1)
    with m.If(counter == size - 1):
        m.d.sync += counter.eq(0)
        yield
