# amaranth: UnusedElaboratable=no
"""Times in clock cycles cover the slowest chip."""

import pytest

from nudge.hw.memory.controller import Controller
from nudge.hw.memory.interface import BURST
from nudge.hw.memory.timing import CHIPS, Cycles, slowest


def test_at_48_mhz():
    cycles = Cycles(rcd=2, rp=2, ras=3, rc=4, rfc=4, wr=2, mrd=2, refresh=374, power_up=9600)
    assert Cycles.of(48_000_000) == cycles
    assert cycles.longest(BURST) == 2 + 15 + 2 + 2


def test_every_chip_has_its_times_at_every_clock():
    """At every clock, the times in cycles satisfy every chip's times in nanoseconds."""
    for hz in range(10_000_000, 100_000_001, 1_000_000):
        cycles, ns = Cycles.of(hz), 1e9 / hz
        for chip in CHIPS.values():
            for name in ("rcd", "rp", "ras", "rc", "rfc", "mrd", "power_up"):
                assert getattr(cycles, name) * ns >= getattr(chip, name) - 1e-6
            assert cycles.wr * ns >= chip.wr + chip.wr_clocks * ns - 1e-6
            assert cycles.refresh * ns <= chip.refresh + 1e-6
            assert cycles.mrd >= chip.mrd_clocks


def test_the_slowest():
    assert slowest("rcd") == 21
    assert slowest("refresh") == 7800


def test_clocks_that_no_chip_takes():
    with pytest.raises(ValueError, match=r"with CAS latency 2 the clock may have 100 MHz, not 101 MHz"):
        Cycles.of(101_000_000)
    with pytest.raises(ValueError, match=r"too slow a clock: 15 cycles between two REFRESHes are too few"):
        Controller(Cycles.of(2_000_000))
