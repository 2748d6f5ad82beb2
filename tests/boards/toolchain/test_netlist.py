"""Changes of a netlist before Yosys reads it."""

import re

from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib.memory import Memory

from nudge.boards.catalog import board
from nudge.boards.toolchain.netlist import undefined_collisions
from nudge.hw.lib.block_memory import BlockMemory


def test_only_block_memories_leave_collisions_undefined():
    m, out = Module(), []
    for name, memory in (
        ("plain", Memory(shape=4, depth=8, init=[])),
        ("block", BlockMemory(shape=4, depth=8)),
    ):
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
