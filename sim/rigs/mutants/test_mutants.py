# amaranth: UnusedElaboratable=no
"""The benches notice sixty mutants of small units from all folders; benches without tests notice none."""

import os
import re
import time
from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.back import rtlil

from sim.memory.unit import MemoryAndChip

from . import trial
from .build import MutatedUnits, draw, shares
from .check import check, read
from .equivalent import identity, reason
from .netlist import mutated, source
from .subjects import QUICK, benches, names_of_tests, quick
from .trial import SURVIVED

#: As in `python -m tests.attack mutants --only quick`.
COUNT, SEED = 60, 1

#: Largest number of mutants in the draw that no bench can notice.
EQUIVALENT = 5


def bench(name):
    (found,) = [one for one in benches() if one.name == name]
    return found


def without_tests(module):
    """Return an empty module with the name and package of a bench's module."""
    empty = ModuleType(module.__name__)
    empty.__package__ = module.__package__
    return empty


@pytest.mark.parametrize(
    ("sizes", "count", "parts"),
    [
        ([1.0, 1.0], 5, [3, 2]),
        ([3.0, 1.0], 4, [3, 1]),
        ([9.0, 1.0], 12, [10, 2]),
        ([1.0, 5.0, 1.0], 2, [0, 2, 0]),
    ],
)
def test_mutants_are_shared_by_size(sizes, count, parts):
    assert shares(sizes, count) == parts
    assert sum(parts) == count


def test_every_bench_of_hw_is_found():
    found = {one.name: one for one in benches()}
    assert {
        "lib",
        "link",
        "memory",
        "core",
        "synapse",
        "update",
        "compact",
        "core.whole.test_tiny",
    } <= found.keys()
    assert all(
        names_of_tests(module)
        for one in found.values()
        for modules in one.modules.values()
        for module in modules
    )
    # their tests are all slow, or skipped by default
    assert not {"core.whole.test_small_events", "core.whole.test_paper"} & found.keys()
    assert {module.split(".")[1] for module in QUICK} == {
        one.name for one in found.values() if not one.single
    }


def test_large_units_have_more_mutants():
    drawn = draw([bench("lib")], 60, 1)
    assert sum(number for _, number in drawn.values()) == 60
    assert drawn["lib", "block_memory_16"][1] >= drawn["lib", "skid_1"][1] >= 1


def test_a_small_draw_builds_few_whole_cores():
    cores = [one for one in benches() if one.name.startswith("compact.test_core")]
    drawn = {
        seed: {name: number for (name, _), (_, number) in draw(cores, 12, seed).items()} for seed in range(4)
    }
    assert all(sorted(numbers.values()) == [0, 6, 6] for numbers in drawn.values())
    assert len({tuple(numbers.values()) for numbers in drawn.values()}) > 1
    assert sorted(number for _, number in draw(cores, 30, 0).values()) == [10, 10, 10]


def test_a_build_has_the_units_of_the_modules_with_mutants_and_the_ports_of_all():
    units = bench("lib").units
    text = rtlil.convert(MutatedUnits(units, {}, {"skid_1"}), name="top", emit_src=False)
    assert [name for name in units if f"\nmodule \\top.{name}\n" in text] == ["skid_1"]
    assert all(f" \\{name}__" in text for name in units)


def child(work, tmp_path, monkeypatch):
    """Run `work` in a forked process, and return its ending by `trial._wait`."""
    monkeypatch.setattr(trial, "ASLEEP", 1.0)
    number = os.fork()
    if not number:
        work()
        os._exit(0)
    return trial._wait(number, tmp_path / "report")[0]


def test_only_a_trial_without_processor_time_hangs_for_that(tmp_path, monkeypatch):
    """A trial hangs if it uses no processor time, not if it takes long beside other work.

    `Limit` bounds its processor time.
    """

    def busy():
        while time.process_time() < 1.5:
            pass

    assert child(busy, tmp_path, monkeypatch) == "stopped"
    assert child(lambda: time.sleep(20), tmp_path, monkeypatch) == trial.HUNG


def test_models_in_benches_are_left_alone():
    text = source(MemoryAndChip(), "top")
    assert re.findall(r"attribute .model 1\nmodule (\S+)", text) == [r"\top.chip", r"\top.chip.rules"]
    marked, whole = (
        mutated(of, "top", 100, 1).changes for of in (text, text.replace("attribute \\model 1", ""))
    )
    assert len(marked) == len(whole) == 100
    # the names of all registers of the rules contain chip_
    assert not [change for change in marked if "chip_" in change]
    assert [change for change in whole if "chip_" in change]


def test_units_that_say_so_have_none():
    drawn = draw([bench("memory")], 60, 1)
    assert sum(number for _, number in drawn.values()) == 60
    assert {unit for (_, unit), (_, number) in drawn.items() if not number} >= {
        "memory_missing",
        "without_rcd",
        "at_48000000",
    }
    assert drawn["memory", "memory_near"][1] >= 1


def test_the_benches_notice_mutants_and_those_without_tests_do_not(tmp_path):
    units = quick()
    found = check([units], COUNT, SEED, tmp_path / "with.csv", 1)
    assert len(found) == COUNT
    survivors = [mutant for mutant, ending in found.items() if ending == SURVIVED]
    assert [identity(mutant) for mutant in survivors if not reason(mutant)] == [], (
        "a bench is weaker, or this is new"
    )
    assert len(survivors) <= EQUIVALENT
    for module in QUICK:
        assert any(ending.startswith(f"{module}.") for ending in found.values()), f"{module} noticed nothing"
    # a second run doesn't try mutants again
    assert {mutant.key: ending for mutant, ending in found.items()} == read(tmp_path / "with.csv")
    assert check([units], COUNT, SEED, tmp_path / "with.csv", 1) == found
    blind = replace(
        units, modules={name: [without_tests(module)] for name, (module,) in units.modules.items()}
    )
    assert set(check([blind], COUNT, SEED, tmp_path / "without.csv", 1).values()) == {SURVIVED}
