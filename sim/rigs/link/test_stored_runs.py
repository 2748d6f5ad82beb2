"""Simulated runs from the board's memory end with the bits of the streamed run and of the model.

They are short forms of the runs in docs/log/2026-11-27-memory.md.
"""

import pytest

from nudge.golden.contract.presets import preset
from nudge.golden.contract.spec import Spec
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.host.devices.open import open_board
from nudge.host.training.compare import Comparison, compare
from nudge.plumbing.errors import ComparisonError, UsageError

from .soak import soak
from .struck import Fault, struck
from .targets import Attack

TINY = preset("tiny")


def compared(spec: Spec, samples: int, batch: int, fault: Fault | None = None) -> Comparison:
    """Compare a run from memory and a streamed run, both on the RTL, with the model; return the counts."""
    plan = Plan.of(spec, "embedded", samples, seed=1, batch=batch, lr_scale=0.5, shift=1, flip=True)
    board = (
        open_board("sim", spec, memory=True) if fault is None else struck("sim", spec, fault, 1, memory=True)
    )
    with board as found:
        return compare(found, plan, load("embedded"), stored=True)


def test_from_memory_as_streamed_as_the_model():
    assert compared(TINY, 20, 8) == Comparison(TINY.parameters, 40, 2)


def test_a_difference_in_a_run_from_memory_is_found():
    with pytest.raises(ComparisonError, match=r"board .*, golden "):
        compared(TINY, 16, 8, Fault(1, 0, 15))


def test_a_board_without_memory_has_nothing_to_compare():
    with (
        open_board("golden", TINY) as board,
        pytest.raises(UsageError, match="--stored: golden has no memory for samples"),
    ):
        compare(board, Plan.of(TINY, "embedded", 8), load("embedded"), stored=True)


def test_through_faults_of_line_and_memory():
    """Flipped bits of samples that are still to be trained are found, and the samples are stored again."""
    plan = Plan.of(TINY, "embedded", 20, seed=4, batch=4, epochs=2, shift=1, flip=True)
    report = soak(TINY, "sim", plan, load("embedded"), Attack(3e-4, 4, damages=3, stored=True))
    assert report.differing == 0
    assert report.faults > 10
    assert report.events == {"damage": 3}
    assert any("damaged and has to be stored again" in why for why in report.recovered), report.recovered


@pytest.mark.slow
def test_small_from_memory():
    small = preset("small")
    assert compared(small, 24, 8) == Comparison(small.parameters, 48, 4)
