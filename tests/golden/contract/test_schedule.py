"""Schedules: limits of steps, halvings and shifts, and the values derived from them."""

import reprlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import MAX_DECAY_SHIFT, MAX_STEPS, Schedule
from nudge.plumbing.errors import SpecError

SMALL = PRESETS["small"]


def test_a_phase_holds_its_averaging_window():
    assert Schedule(8, 8, 3).window == 8
    with pytest.raises(
        SpecError, match=r"nudged steps \(the averaging window has 16\) must be .* 16..4095, not 8"
    ):
        Schedule(16, 8, 4)


def test_lambda_halves_within_the_free_phase():
    schedule = Schedule(8, 4, 2, decay_shift=1, halvings=(1, 4))
    assert [schedule.shift(t) for t in range(6)] == [1, 2, 2, 2, 3, 3]
    assert (list(schedule.shifts), schedule.last_shift) == ([1, 2, 3], 3)
    constant, annealed = (replace(SMALL, schedule=s) for s in (Schedule(8, 4, 2, decay_shift=3), schedule))
    assert annealed.membrane_bits == constant.membrane_bits
    assert annealed.identity != replace(SMALL, schedule=replace(schedule, halvings=(1, 5))).identity


@pytest.mark.parametrize(
    ("halvings", "message"),
    [
        ((4, 1), r"halvings must be steps in rising order, each once, not \[4, 1\]"),
        ((1, 1), r"halvings must be steps in rising order, each once, not \[1, 1\]"),
        ((0, 1), "halvings' steps must be a whole number 1..4095, not 0"),
        ((1, 5000), "halvings' steps must be a whole number 1..4095, not 5000"),
        (tuple(range(1, 16)), "k must end at most at 15, not at 16"),
    ],
)
def test_halvings(halvings, message):
    with pytest.raises(SpecError, match=message):
        Schedule(8, 4, 2, decay_shift=1, halvings=halvings)


@given(
    value=st.one_of(st.integers(max_value=-1), st.integers(MAX_DECAY_SHIFT + 1), st.booleans(), st.floats())
)
@pytest.mark.parametrize(("name", "high"), [("window_log2", 11), ("decay_shift", MAX_DECAY_SHIFT)])
def test_shifts(name, high, value):
    with pytest.raises(SpecError) as caught:
        Schedule(MAX_STEPS, MAX_STEPS, **{name: value})
    assert str(caught.value) == f"{name} must be a whole number 0..{high}, not {reprlib.repr(value)}"
