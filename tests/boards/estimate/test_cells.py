"""Estimated counts agree with the synthesised ones in boards/estimate/counts/samples.csv and designs.json."""

import pytest

from nudge.boards.estimate import cells, fit
from nudge.boards.estimate.units import KINDS

#: Largest relative error of cells and flip-flops: of a design that no coefficient was fitted to, of a unit in
#: the fit.
LARGEST_ERROR, LARGEST_OF_UNIT = 0.10, 0.20

FORETOLD = fit.foretold()


def test_there_are_enough_designs_that_nothing_was_fitted_to():
    assert len(FORETOLD) >= 8
    # designs that are held out have no unit among the samples
    fitted = {sample.design for sample in fit.samples()}
    assert not fitted & {whole.name for whole in fit.wholes() if whole.held}


@pytest.mark.parametrize(("name", "made", "real"), FORETOLD, ids=[name for name, *_ in FORETOLD])
def test_designs_that_nothing_was_fitted_to(name, made, real):
    for n in range(2):
        assert made[n] == pytest.approx(real[n], rel=LARGEST_ERROR), fit.COUNTS[n]
    assert made[2:] == real[2:]


def test_block_ram_and_multipliers_of_every_unit():
    found = {(s.design, s.unit.name): (s.unit.memory.blocks, s.unit.multipliers) for s in fit.samples()}
    assert found == {(s.design, s.unit.name): (s.blocks, s.multipliers) for s in fit.samples()}


def test_every_unit_by_the_committed_coefficients():
    kinds = set()
    for sample in fit.samples():
        kinds.add(sample.unit.kind)
        made = cells.alone(sample.unit.kind, sample.unit.features, sample.unit.memory)
        where = f"{sample.design}, {sample.unit.name}"
        assert made[0] == pytest.approx(sample.cells, rel=LARGEST_OF_UNIT), where
        assert made[1] == pytest.approx(sample.registers, rel=LARGEST_OF_UNIT), where
    assert kinds == set(KINDS)


def test_the_coefficients_are_those_of_the_samples():
    committed, found = cells.committed(), fit.fitted()
    assert found.within == pytest.approx(committed.within, rel=1e-3)
    assert set(found.kinds) == set(committed.kinds)
    for kind, both in found.kinds.items():
        for mine, theirs in zip(both, committed.kinds[kind], strict=True):
            assert mine == pytest.approx(theirs, rel=1e-2, abs=1e-2), kind


def test_every_feature_has_a_coefficient():
    """Each feature has a coefficient in some kind of unit, except ``carry``, which is counted."""
    used = {name for of_cells, of_registers in cells.MODEL.values() for name in (*of_cells, *of_registers)}
    for sample in fit.samples():
        assert set(sample.unit.features) - used <= {"carry"}, sample.unit.kind
