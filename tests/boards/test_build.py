"""What becomes of a netlist before Yosys gets it."""

import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory

from boards import build as builds
from boards.build import Route, TimingError, undefined_collisions
from boards.catalog import board
from hw.block_memory import BlockMemory


def test_only_block_memories_leave_collisions_undefined():
    m, out = Module(), []
    for name, memory in (("plain", Memory(shape=4, depth=8, init=[])), ("block", BlockMemory(shape=4, depth=8))):
        m.submodules[name] = memory
        read, write = memory.read_port(), memory.write_port()
        data = Signal(4, name=f"{name}_data")
        m.d.comb += [data.eq(read.data), write.data.eq(read.data + 1), write.en.eq(1)]
        out.append(data)
    text = rtlil.convert(m, ports=out, platform=board("ulx3s").platform(), emit_src=False)
    changed = undefined_collisions(text)
    masks = dict(re.findall(r'MEMID "\\\\(\w+)"(?:\n.*){3}\n.*COLLISION_X_MASK (\S+)', changed))
    assert masks == {"plain": "1'0", "block": "1'1"}
    assert changed.replace("1'1", "1'0") == text.replace("1'1", "1'0")


def test_a_further_seed_that_is_not_routed_is_reported(monkeypatch, tmp_path):
    """The seeds that were routed aren't lost by it; without the first there is no bitstream, so that is an error."""

    def route(command, folder, number, kind, clock_hz, progress):
        if number == 2:
            raise TimingError("nextpnr failed: ERROR: no way")
        return Route(number, 13e6, True, 1.0, "", {})

    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    monkeypatch.setattr(builds, "_synthesise", lambda *arguments: [[], [], []])
    monkeypatch.setattr(builds, "_route", route)
    monkeypatch.setattr(builds, "_pack", lambda *arguments: None)
    lines: list[str] = []
    made = builds.build(board("icebreaker"), "tiny", seeds=3, progress=lines.append)
    assert ([r.seed for r in made.routes], made.unrouted) == ([1, 3], (2,))
    assert lines[-1] == "seed 2: nextpnr failed: ERROR: no way"
    with pytest.raises(TimingError, match="no way"):
        builds.build(board("icebreaker"), "tiny", seed=2, seeds=2)
