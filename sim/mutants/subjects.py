"""What the benches of `make test` simulate, and with which tests."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from amaranth.lib import wiring

import sim

#: Benches of the benches themselves, of what they are made of, and of netlists.
NOT_OF_HW = ("sim.harness", "sim.netlists")


@dataclass(frozen=True)
class Bench:
    """A build: units side by side, or one component whose ports keep their names."""

    name: str
    #: By name; of a single component "" is the name.
    units: dict[str, wiring.Component]
    #: Modules of tests, by the unit that they are about.
    modules: dict[str, list[ModuleType]]

    @property
    def single(self) -> bool:
        return "" in self.units


def names_of_tests(module: ModuleType) -> list[str]:
    """Names of a module's cocotb tests, without those that are marked slow: `make test` leaves these out."""
    whole = getattr(module, "pytestmark", [])
    found = []
    for value in vars(module).values():
        if hasattr(value, "generate_tests"):
            marks = [*getattr(value.func, "pytestmark", []), *(whole if isinstance(whole, list) else [whole])]
            if not any(mark.name == "slow" for mark in marks):
                found += [test.name for test in value.generate_tests()]
    return found


def benches() -> Iterator[Bench]:
    """All, folder by folder."""
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
    yield from folders.values()
    yield from single.values()
