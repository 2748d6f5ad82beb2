"""The garbage collector runs less often while a design is elaborated, and as before afterwards, also where that failed."""

import gc

import pytest

from hw.lib.elaboration import OBJECTS, fast_elaboration


def elaborate_in_vain() -> None:
    with fast_elaboration():
        raise ValueError(gc.get_threshold()[0])


def test_the_collector_is_as_it_was():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match=f"^{OBJECTS}$"):
        elaborate_in_vain()
    assert gc.get_threshold() == before
