"""Tiers, options and fixtures that both test folders share."""

import signal
from pathlib import Path

import pytest

from golden.signals import ENDING

ROOT = Path(__file__).parent

#: Files and folders of `make verify`: proofs, mutants, netlists, attacks, trainings of the paper's systems, and what is
#: built from the whole tree. `make test` runs all others; single tests are marked where they stand.
VERIFY = (
    "sim/formal",
    "sim/mutants",
    "sim/netlists",
    "sim/upsets",
    "sim/test_attack.py",
    "tests/attack",
    "tests/golden/paper",
    "tests/nudge/test_notebooks.py",
    "tests/test_first_pages.py",
    "tests/test_site.py",
    "tests/test_wheel.py",
)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config, items):
    later = tuple(ROOT / path for path in VERIFY)
    for item in items:
        if any(item.path.is_relative_to(path) for path in later):
            item.add_marker("verify")
    if config.getoption("--slow"):
        return
    # not `item.keywords`: cocotb tests get their marks after pytest has filled those
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture
def heard():
    """The signals that end a process do so, though this session was started to ignore them, as by nohup."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
