"""Collect the components that the benches simulate, with the tests of each."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from amaranth.lib import wiring

import sim
from sim.harness.forks import tests_of

#: Packages whose benches don't test components of `hw`: harness, rigs and netlists.
NOT_OF_HW = ("sim.harness", "sim.rigs", "sim.netlists")


@dataclass(frozen=True)
class Bench:
    """A build: several units, or a single component whose ports keep their names."""

    name: str
    #: Units by name; a single component has the name "".
    units: dict[str, wiring.Component]
    #: Test modules by unit.
    modules: dict[str, list[ModuleType]]
    #: Units that their tests check only in part, by `NOT_MUTATED` of the test module.
    not_mutated: set[str] = field(default_factory=set)

    @property
    def single(self) -> bool:
        return "" in self.units

    def subject(self, unit: str) -> str:
        """Return a unit's name in lists: folder and unit (lib.skid_1), or a single component's bench."""
        return f"{self.modules[unit][0].__package__.removeprefix('sim.')}.{unit}" if unit else self.name


def names_of_tests(module: ModuleType) -> list[str]:
    """Return the names of a module's tests except those that are slow or skipped."""
    whole = getattr(module, "pytestmark", [])
    of_module = whole if isinstance(whole, list) else [whole]

    def left_out(mark: Any) -> bool:
        return mark.name == "slow" or (mark.name == "skipif" and bool(mark.args[0]))

    tests = ((test.name, [*getattr(test.func, "pytestmark", []), *of_module]) for test in tests_of(module))
    return [name for name, marks in tests if not any(map(left_out, marks))]


def benches() -> Iterator[Bench]:
    """Yield all benches: one per folder with units, then the single components."""
    single: dict[int, Bench] = {}
    folders: dict[str, Bench] = {}
    for found in pkgutil.walk_packages(sim.__path__, "sim."):
        if not found.name.rpartition(".")[2].startswith("test_") or found.name.startswith(NOT_OF_HW):
            continue
        module = importlib.import_module(found.name)
        if not names_of_tests(module):
            continue
        if hasattr(module, "TOP"):
            top = module.TOP
            bench = single.setdefault(id(top), Bench(found.name.removeprefix("sim."), {"": top}, {"": []}))
            bench.modules[""].append(module)
        elif hasattr(module, "UNITS"):
            folder = found.name.rpartition(".")[0]
            bench = folders.setdefault(folder, Bench(folder.removeprefix("sim."), {}, {}))
            bench.units.update(module.UNITS)
            bench.modules.update({name: [module] for name in module.UNITS})
            bench.not_mutated.update(getattr(module, "NOT_MUTATED", ()))
    yield from folders.values()
    yield from single.values()


#: Small units from every folder, with quick benches, for the test of this rig.
QUICK = {
    "sim.lib.test_skid_buffer": ("skid_9",),
    "sim.lib.test_arg_max": ("arg_max_3x5",),
    "sim.lib.test_accumulator": ("sums_wrapping",),
    "sim.lib.test_block_memory": ("block_memory_5",),
    "sim.lib.test_line_buffer": ("lines_6x4",),
    "sim.core.test_image_buffer": ("images",),
    "sim.core.test_sequencer": ("sequencer_1_2",),
    "sim.synapse.test_average_pool": ("pool_odd_even",),
    "sim.synapse.test_upsample": ("upsample_6x8",),
    "sim.synapse.test_kernel_loader": ("loader_lanes",),
    "sim.synapse.test_spike_buffer": ("spikes_9x3",),
    "sim.synapse.test_dense_engine": ("dense_engine_one",),
    "sim.update.test_correlator": ("correlator_short", "correlator_image"),
    "sim.update.test_dense_update": ("dense_update_one",),
    "sim.link.test_counters": ("counters_5",),
    "sim.link.test_line_samples": ("samples", "sample"),
    "sim.link.test_uart": ("receiver_3", "transmitter_3"),
    "sim.memory.test_unstuffer": ("unstuffer",),
    "sim.compact.test_sequencer": ("compact_sequencer",),
}


def quick() -> Bench:
    """Return a bench with the units of `QUICK` in one build."""
    modules = {name: importlib.import_module(module) for module, names in QUICK.items() for name in names}
    units = {name: module.UNITS[name] for name, module in modules.items()}
    return Bench("quick", units, {name: [module] for name, module in modules.items()})
