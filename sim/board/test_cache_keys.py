"""Elaborated and compiled designs are cached; a change of any of their sources must change the cache key."""

import subprocess
import sys
from pathlib import Path

import pytest

from nudge.boards.virtual import VIRTUAL, gateware, program, verilator
from nudge.golden.contract.config import ENGINES, Config, configuration
from nudge.golden.contract.presets import preset
from nudge.plumbing.cache import source_files
from sim.netlists import board as netlist

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "nudge"
TINY = configuration(preset("tiny"))

#: A configuration for each kind of core. The list of presets isn't in a key, since it affects no design.
CONFIGS = [configuration(preset("tiny"), engines) for engines in ENGINES] + [
    Config(preset("tiny"), (1, 1, 1), compact=True)
]

#: Program that elaborates a design with each kind of core, then prints the files of all imported modules.
ELABORATE = """
import sys
from amaranth.back import rtlil
from amaranth_boards.icebreaker import ICEBreakerPlatform
from nudge.golden.contract.config import Config
from nudge.golden.contract.formats import Formats
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.hw.top import Top
from {module} import PowerOn

with fast_elaboration():
    for config in {configs!r}:
        rtlil.convert(PowerOn(Top(config, clock_hz=48_000_000, divisor=1)), name="top", platform={platform})
files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
print(*filter(None, files), sep="\\n")
"""


class Asked(Exception):  # noqa: N818, nothing went wrong
    """Carries the inputs of a call of the cache."""


@pytest.fixture
def asked(monkeypatch):
    """Function that returns the inputs with which another function calls the cache; nothing is built."""

    def ask(name, inputs, make):
        raise Asked(*inputs)

    def inputs(module, call):
        monkeypatch.setattr(module, "cached", ask)
        with pytest.raises(Asked) as found:
            call()
        return found.value.args

    return inputs


@pytest.mark.parametrize(
    ("module", "call"),
    [
        (gateware, lambda: gateware.top_verilog(TINY, VIRTUAL)),
        (netlist, lambda: netlist.cell_netlist(TINY, VIRTUAL, "ecp5")),
    ],
    ids=["board", "cells"],
)
@pytest.mark.parametrize(
    "changed", ["golden/contract/formats.py", "golden/contract/spec.py", "hw/lib/saturate.py"]
)
def test_a_changed_source_is_elaborated_anew(asked, monkeypatch, module, call, changed):
    before = asked(module, call)
    assert asked(module, call) == before
    read = Path.read_text

    def edited(path, *args, **kwargs):
        return read(path, *args, **kwargs) + ("# changed\n" if path == PACKAGE / changed else "")

    monkeypatch.setattr(Path, "read_text", edited)
    assert asked(module, call) != before


@pytest.mark.parametrize("changed", ["board.cpp", "bridge.h", "design.h", "line.h"])
def test_a_changed_source_is_compiled_anew(asked, monkeypatch, changed):
    before = asked(verilator, lambda: program.compile_board(""))
    assert {file.name for file in verilator.with_headers([program.SOURCE])} == {
        "board.cpp",
        "bridge.h",
        "design.h",
        "line.h",
    }
    read = Path.read_text

    def edited(path, *args, **kwargs):
        return read(path, *args, **kwargs) + ("// changed\n" if path.name == changed else "")

    monkeypatch.setattr(Path, "read_text", edited)
    assert asked(verilator, lambda: program.compile_board("")) != before


@pytest.mark.parametrize(
    ("module", "platform"),
    [
        ("nudge.boards.virtual.gateware", "None"),
        ("sim.netlists.board", "ICEBreakerPlatform()"),
    ],
)
def test_every_source_of_a_design_is_in_its_key(module, platform):
    code = ELABORATE.format(module=module, platform=platform, configs=CONFIGS)
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True, timeout=600)
    files = {Path(line) for line in result.stdout.splitlines()}
    ours = {file for file in files if file.is_relative_to(CHECKOUT) and "site-packages" not in file.parts}
    assert {PACKAGE / "hw/top.py", PACKAGE / "golden/contract/formats.py"} <= ours
    # the public page is a table of names: what it imports depends on who asks
    ours.remove(PACKAGE / "__init__.py")
    assert ours <= set(source_files(module)), "elaborated from, but not in the key"
