# amaranth: UnusedElaboratable=no
"""The check of the benches checks itself: a wrong machine is noticed, a right one isn't, and a bench that is missing shows."""

from dataclasses import replace

import pytest

from sim.harness.branch import SURVIVED

from .build import draw, shares
from .check import check, read
from .subjects import benches, names_of_tests

#: Folders whose benches are tried in each run of the tests, with one mutant for each unit at most.
COUNT, SEED = 12, 1


def bench(name):
    (found,) = [one for one in benches() if one.name == name]
    return found


@pytest.mark.parametrize(
    ("sizes", "count", "parts"),
    [([1.0, 1.0], 5, [3, 2]), ([3.0, 1.0], 4, [3, 1]), ([9.0, 1.0], 12, [10, 2]), ([1.0, 5.0, 1.0], 2, [0, 2, 0])],
)
def test_mutants_are_shared_by_size(sizes, count, parts):
    assert shares(sizes, count) == parts
    assert sum(parts) == count


def test_every_bench_of_hw_is_found():
    found = {one.name: one for one in benches()}
    assert {"lib", "link", "memory", "core", "synapse", "update", "compact", "core.test_core_tiny"} <= found.keys()
    assert all(names_of_tests(module) for one in found.values() for modules in one.modules.values() for module in modules)
    # all of its tests are slow
    assert "core.test_core_small_events" not in found


def test_large_units_have_more_mutants():
    drawn = draw([bench("lib")], 60)
    assert sum(number for _, number in drawn.values()) == 60
    assert drawn["lib", "block_memory_16"][1] >= drawn["lib", "skid_1"][1] >= 1


def test_a_bench_notices_mutants_and_one_without_tests_does_not(tmp_path):
    lib = bench("lib")
    one = {"skid_9": lib.units["skid_9"]}
    skids = replace(lib, name="skids", units=one | {"skid_1": lib.units["skid_1"]})
    found = check([skids], COUNT, SEED, tmp_path / "with.csv", 2)
    assert len(found) == COUNT
    assert [mutant.change for mutant, ending in found.items() if ending == SURVIVED] == []
    # what was tried isn't tried again
    assert {mutant.key: ending for mutant, ending in found.items()} == read(tmp_path / "with.csv")
    assert check([skids], COUNT, SEED, tmp_path / "with.csv", 1) == found
    blind = replace(skids, modules={name: [] for name in skids.units})
    assert set(check([blind], COUNT, SEED, tmp_path / "without.csv", 1).values()) == {SURVIVED}
