"""Designs elaborated in half of the time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects made between two runs of Python's garbage collector, whose default is 700. The core of `small` is millions of objects
#: that all live until its text is written: 7.9 s with the default, 4.5 s with this, 5.1 s with no collector.
OBJECTS = 50_000


@contextmanager
def fast_elaboration() -> Iterator[None]:
    """While Amaranth elaborates: the collector looks in vain at what it made, so it looks less often."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
