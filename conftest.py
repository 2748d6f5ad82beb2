"""Tiers, options and fixtures shared by both test folders."""

import signal
from pathlib import Path

import pytest
import torch

from nudge.golden.model import native
from nudge.plumbing import compiler
from nudge.plumbing.signals import ENDING

ROOT = Path(__file__).parent

#: Files and folders of `make verify`; `make test` runs all others.
VERIFY = (
    # proofs, mutants, netlists, upsets, attacks, and tests of the benches and builds themselves
    "sim/formal",
    "sim/netlists",
    "sim/harness/test_forks.py",
    "sim/harness/test_harness.py",
    "sim/board/test_cache_keys.py",
    "sim/board/test_environment.py",
    "sim/rigs/mutants",
    "sim/rigs/upsets",
    *(f"sim/rigs/link/test_{name}.py" for name in ("kill", "soak", "stored_runs", "struck", "virtual")),
    "tests/attack",
    "tests/golden/training/test_cut_runs.py",
    "tests/golden/training/test_processes.py",
    "tests/host/cli/test_start.py",
    "tests/host/devices/test_recover.py",
    "tests/host/sweep/test_processes.py",
    # whole cores and boards; the SDRAM
    *(f"sim/core/whole/test_{name}.py" for name in ("annealed", "events", "fine", "odd", "small", "tiny")),
    "sim/core/whole/test_random_networks.py",
    # neuron arrays of networks with fine spikes, and the proof of widths in whole designs
    "sim/core/test_deviation_array.py",
    "sim/core/test_window_sums.py",
    "sim/test_widths.py",
    "sim/compact",
    *(
        f"sim/test_top_{name}.py"
        for name in ("damage", "overlap", "protocol", "refusals", "stored", "training")
    ),
    "sim/test_any_network.py",
    "sim/test_cli_sim.py",
    "sim/test_cycles.py",
    "sim/memory",
    # trainings of the paper's systems; bitstreams; pages in a browser; site, wheel and notebooks
    "tests/paper",
    "tests/boards/estimate/test_lanes.py",
    "tests/boards/test_catalog.py",
    "tests/boards/test_new_board.py",
    "tests/boards/test_sdram.py",
    "tests/boards/toolchain/test_build.py",
    "tests/boards/toolchain/test_readback.py",
    "tests/boards/toolchain/test_verilog.py",
    "tests/host/cli/test_builds.py",
    *(
        f"tests/host/view/test_{name}.py"
        for name in ("browser", "compared", "content", "live", "looks", "save", "serve", "watch")
    ),
    "tests/host/view/sweep",
    "tests/nudge/test_notebooks.py",
    "tests/nudge/test_readme.py",
    "tests/nudge/test_values.py",
    "tests/test_first_pages.py",
    "tests/test_drawings.py",
    "tests/test_site.py",
    "tests/test_wheel.py",
)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config, items):
    later = tuple(ROOT / path for path in VERIFY)
    if missing := [str(path) for path in later if not path.exists()]:
        raise pytest.UsageError(f"conftest.VERIFY names what isn't there: {', '.join(missing)}")
    for item in items:
        if any(item.path.is_relative_to(path) for path in later):
            item.add_marker("verify")
    if config.getoption("--slow"):
        return
    # not `item.keywords`, which pytest fills before cocotb tests get their marks
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture
def heard():
    """Restore the default handlers of the signals that end a process, which a start by nohup ignores."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="session")
def compiled_engine():
    """Compile the engine before all tests: the note on standard error would disturb a test that reads it."""
    if compiler.available():
        native.library()


@pytest.fixture(autouse=True)
def one_thread():
    """Limit torch to one thread: tensors are small, and test processes share the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
