"""`tools.run` starts the programs that make a bitstream; nothing else does."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge.boards.toolchain import tools
from nudge.plumbing.errors import ToolError

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def program(monkeypatch):
    """Return a function that replaces every tool by a Python program."""

    def becomes(code):
        monkeypatch.setattr(tools, "command", lambda tool, kind: [sys.executable, "-c", code])

    return becomes


def test_a_tool_that_is_not_done_in_time_is_ended(program, tmp_path):
    program("import pathlib, time; time.sleep(600); pathlib.Path('done').touch()")
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"^yosys was not done after 0 s; see .*/log$"):
        tools.run(["yosys"], "yowasp", tmp_path, Path("log"), seconds=0.2)
    assert time.monotonic() - started < 300
    assert not (tmp_path / "done").exists()


def test_a_signal_is_named_and_not_what_was_said_before(program, tmp_path):
    program("import os; print('ERROR: a', flush=True); os.kill(os.getpid(), 9)")
    assert tools.run(["yosys"], "yowasp", tmp_path, Path("log")) == tools.Failure(-9, "ended by SIGKILL")


def test_a_failure_is_the_first_error_of_the_log(program, tmp_path):
    program("import sys; print('ERROR: a\\nERROR: b'); sys.exit(3)")
    assert tools.run(["yosys"], "yowasp", tmp_path, Path("log")) == tools.Failure(3, "ERROR: a")
    assert (tmp_path / "log").read_text() == "ERROR: a\nERROR: b\n"


def test_nothing_else_starts_them():
    function = tools.PACKAGES["yosys"][1]
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    sources = [name for name in tracked.stdout.splitlines() if (CHECKOUT / name).exists()]
    assert [name for name in sources if function in (CHECKOUT / name).read_text()] == [
        "boards/toolchain/tools.py"
    ]
