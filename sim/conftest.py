"""Collects cocotb tests: each becomes a pytest test, on the build that its module asks for.

How a bench looks: `sim.harness.testbench`.
"""

import functools
import inspect

import pytest

from plumbing.cache import build_root
from plumbing.errors import ToolError

from .harness import testbench
from .harness.forks import Forks


class CocotbTest(pytest.Item):
    """One cocotb test, with its parameters."""

    def __init__(self, *, test, **kwargs):
        super().__init__(**kwargs)
        self.test = test
        self.own_markers.extend(getattr(test.func, "pytestmark", []))

    @property
    def module(self):
        module = self.getparent(pytest.Module)
        assert module is not None
        return module.obj

    def runtest(self):
        if hasattr(self.module, "TOP"):
            design = build_top(self.module.TOP)
        else:
            design = build_units(self.session, self.module.__package__)
        # a wave file is of one process, and forking was tried with Verilator alone
        one = testbench.waves() or design.simulator != "verilator"
        run_test = functools.partial(testbench.run_test, design) if one else simulator_of(design).run_test
        run_test(self.module.__name__, self.test.name)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, testbench.CocotbError | ToolError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, inspect.getsourcelines(self.test.func)[1] - 1, self.test.name


#: Simulators that run, by their build.
simulators: dict[testbench.CompiledBench, Forks] = {}


def simulator_of(design):
    # workers get one build after the other, so that the one before is done
    if design not in simulators:
        end_simulators()
        simulators[design] = Forks(design)
    return simulators[design]


def end_simulators():
    while simulators:
        simulators.popitem()[1].close()


def pytest_sessionfinish():
    end_simulators()


@functools.cache
def build_top(component):
    # modules that share a TOP share its build
    return testbench.compile_bench(component, type(component).__name__.lower())


@functools.cache
def build_units(session, package):
    modules = {item.module for item in session.items if isinstance(item, CocotbTest) and hasattr(item.module, "UNITS")}
    modules = {module for module in modules if module.__package__ == package}
    units: dict = {}
    for module in sorted(modules, key=lambda module: module.__name__):
        for name in module.UNITS:
            if name in units:
                raise pytest.UsageError(f"{module.__name__}: another bench has a unit named {name!r}")
        units |= module.UNITS
    return testbench.compile_bench(testbench.Testbench(units), f"units_{package.rpartition('.')[2]}")


def pytest_pycollect_makeitem(collector, name, obj):
    # what @cocotb.test() leaves: one object for all combinations of the parameters
    if isinstance(collector, pytest.Module) and hasattr(obj, "generate_tests"):
        return [CocotbTest.from_parent(collector, name=test.name, test=test) for test in obj.generate_tests()]
    return None


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items):
    """Tests that share a build go to one worker: the others would wait for it.

    Tests marked `long` begin first, then builds; single tests fill the rest, so that no worker is left alone at the end.
    """
    shared: dict = {}
    for item in items:
        if isinstance(item, CocotbTest):
            top = getattr(item.module, "TOP", None)
            name = shared.setdefault(top, item.module.__name__) if top is not None else item.module.__package__
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: (not item.get_closest_marker("long"), not isinstance(item, CocotbTest)))


def pytest_report_header():
    return f"cocotb: COCOTB_RANDOM_SEED={testbench.seed()}, builds in {build_root()}"
