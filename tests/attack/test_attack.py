"""A sample of every kind of attack, short enough for `make verify`; `make evidence` runs all of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nudge.plumbing import compiler

pytestmark = pytest.mark.skipif(not compiler.available(), reason="no C++ compiler")


def tried(*arguments: str) -> int:
    """Run attacks, none of which may go wrong; return their number."""
    words = [sys.executable, "-m", "tests.attack", *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^(\d+) [a-z ]+: 0 wrong$", done.stdout, re.M)
    assert found is not None, done.stdout
    return int(found[1])


@pytest.mark.long
def test_the_list_of_attacks():
    assert tried("list", "--part", "1/61") >= 100


def test_calls_that_fail():
    assert (
        tried("faults", "--only", "train,repro", "--modes", "once,full", "--every", "20", "--first", "3")
        >= 20
    )


def test_power_cuts():
    assert tried("cuts", "--every", "4") >= 20


def test_the_harness_can_fail():
    """If folders are synced but files are not, the attack must find power cuts that lose weights."""
    code = (
        "import sys; from nudge.plumbing import files; sync = files.sync\n"
        "files.sync = lambda path: sync(path) if path.is_dir() else None\n"
        "import runpy; sys.argv = ['attack', 'cuts', '--every', '10']; runpy.run_module('tests.attack', "
        "run_name='__main__')"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, cwd=Path(__file__).parents[2])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "power cut after call" in done.stdout
