"""Collect cocotb tests as pytest items, run on the build of their module's TOP or their package's UNITS.

`sim.harness.testbench` describes the form of a bench.
"""

import functools
import inspect

import pytest

from nudge.plumbing.cache import build_root
from nudge.plumbing.errors import ToolError

from .harness import testbench
from .harness.forks import Forks


class CocotbTest(pytest.Item):
    """One cocotb test with one set of parameters."""

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
        # waves need one process per file, and forking was only tried with Verilator
        one = testbench.waves() or design.simulator != "verilator"
        run_test = functools.partial(testbench.run_test, design) if one else simulator_of(design).run_test
        run_test(self.module.__name__, self.test.name)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, testbench.CocotbError | ToolError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, inspect.getsourcelines(self.test.func)[1] - 1, self.test.name


#: Running simulators by their build; at most one.
simulators: dict[testbench.CompiledBench, Forks] = {}


def simulator_of(design):
    # a worker gets the tests build by build, so the simulator of the previous build is no longer needed
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
    modules = {
        item.module
        for item in session.items
        if isinstance(item, CocotbTest) and hasattr(item.module, "UNITS")
    }
    modules = {module for module in modules if module.__package__ == package}
    units: dict = {}
    for module in sorted(modules, key=lambda module: module.__name__):
        for name in module.UNITS:
            if name in units:
                raise pytest.UsageError(f"{module.__name__}: another bench has a unit named {name!r}")
        units |= module.UNITS
    return testbench.compile_bench(testbench.Testbench(units), f"units_{package.rpartition('.')[2]}")


def pytest_pycollect_makeitem(collector, name, obj):
    # @cocotb.test() leaves one object for all combinations of parameters
    if isinstance(collector, pytest.Module) and hasattr(obj, "generate_tests"):
        return [CocotbTest.from_parent(collector, name=test.name, test=test) for test in obj.generate_tests()]
    return None


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items):
    """Assign all tests of a build to one worker, because other workers would wait for the build.

    Tests marked `long` start first, then cocotb tests; all others follow, so that the workers finish at
    about the same time.
    """
    shared: dict = {}
    for item in items:
        if isinstance(item, CocotbTest):
            top = getattr(item.module, "TOP", None)
            name = (
                shared.setdefault(top, item.module.__name__) if top is not None else item.module.__package__
            )
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: (not item.get_closest_marker("long"), not isinstance(item, CocotbTest)))


def pytest_report_header():
    return f"cocotb: COCOTB_RANDOM_SEED={testbench.seed()}, builds in {build_root()}"
