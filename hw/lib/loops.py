"""Loops in hardware: counters that wrap to 0."""

from contextlib import contextmanager


@contextmanager
def counting(m, counter, size: int):
    """Adds 1 to ``counter``, modulo ``size``. Statements inside are active while it is ``size - 1``.

    Several of them in one ``with`` are nested loops, innermost first.
    """
    m.d.sync += counter.eq(counter + 1)
    with m.If(counter == size - 1):
        m.d.sync += counter.eq(0)
        yield
