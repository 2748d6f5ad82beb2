# amaranth: UnusedElaboratable=no
"""The prover proves true assertions, and neither false ones nor those that take too long."""

import pytest
from amaranth.hdl import Assert, Module, Signal

from nudge.plumbing.errors import ToolError

from . import prover


def counter(most: int) -> Module:
    """Return a counter 0, 1, 2, 0, ... with the assertion that it is at most `most`."""
    m, count = Module(), Signal(2)
    m.d.sync += count.eq(count + 1)
    with m.If(count == 2):
        m.d.sync += count.eq(0)
    m.d.comb += Assert(count <= most)
    return m


def test_what_holds_is_proved():
    prover.prove(counter(2), [], depth=4)


def test_what_does_not_hold_is_not_proved():
    with pytest.raises(prover.ProofError, match="Called with -verify and proof did fail"):
        prover.prove(counter(1), [], depth=4)


def test_what_is_not_proved_in_time_is_an_error(monkeypatch):
    monkeypatch.setattr(prover, "SECONDS", 0)
    with pytest.raises(ToolError, match=r"^yosys was not done after 0 s"):
        prover.prove(counter(2), [], depth=4)
