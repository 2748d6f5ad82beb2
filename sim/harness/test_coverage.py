# amaranth: UnusedElaboratable=no
"""Every public component of `hw` must have a bench in `sim`."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator

from amaranth.lib import wiring

import sim
from nudge import hw
from nudge.hw.core.core import Core
from nudge.hw.link.digest import Digest
from nudge.hw.system import System
from nudge.hw.top import Top


def components() -> set[type]:
    """The public component classes of `hw`."""
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(hw.__path__, "nudge.hw.")
    ]
    return {
        kind
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, wiring.Component)
        and kind.__module__ == module.__name__
        and not name.startswith("_")
    }


def subjects() -> Iterator[wiring.Component]:
    """The simulated components: UNITS and TOP of all bench modules."""
    for found in pkgutil.walk_packages(sim.__path__, "sim."):
        if found.name.rpartition(".")[2].startswith("test_"):
            module = importlib.import_module(found.name)
            yield from getattr(module, "UNITS", {}).values()
            yield from [module.TOP] if hasattr(module, "TOP") else []


def kinds(units: Iterable[wiring.Component]) -> set[type]:
    """Classes of units, and of components in their attributes: a bench may combine two; `Top` has a `System`.

    Submodules that a component creates during elaboration don't count; otherwise a core's bench would cover
    all its parts.
    """
    out: set[type] = set()
    for unit in units:
        out |= {type(unit)} | kinds(
            value for value in vars(unit).values() if isinstance(value, wiring.Component)
        )
    return out


def without_bench(found: set[type], units: Iterable[wiring.Component]) -> list[str]:
    """Names of the component classes that no unit has."""
    return sorted(f"{kind.__module__}.{kind.__name__}" for kind in found - kinds(units))


class Unknown(wiring.Component):
    """A component without a bench."""

    def __init__(self):
        super().__init__({})


def test_every_component_has_a_bench():
    missing = without_bench(components(), subjects())
    assert not missing, f"no bench in sim/ for {', '.join(missing)}"


def test_a_component_without_a_bench_is_found():
    assert {Core, System, Top, Digest} <= components()
    assert without_bench(components() | {Unknown}, subjects()) == [f"{__name__}.Unknown"]
    rest = [unit for unit in subjects() if not isinstance(unit, Digest)]
    assert without_bench(components(), rest) == ["nudge.hw.link.digest.Digest"]
