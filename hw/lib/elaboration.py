"""Designs elaborated in half of the time, and large memories in seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from amaranth.back import rtlil
from amaranth.hdl import _nir

from golden.contract.config import LARGEST_MEMORY

#: Objects made between two runs of Python's garbage collector, whose default is 700. The core of `small` is millions of objects
#: that all live until its text is written: 7.9 s with the default, 4.5 s with this, 5.1 s with no collector.
OBJECTS = 50_000


@contextmanager
def fast_elaboration() -> Iterator[None]:
    """While Amaranth elaborates: the collector looks in vain at what it made, so it looks less often; memories' first words
    are written as text, where Amaranth makes an object of each bit: a third of the time, and of 90 Mbit more memory than most
    machines have. The RTLIL is the same (`sim/lib/test_elaboration.py`), but for memories of zeros that no part here holds: of
    these only the first word is said, and simulation leaves the others as they come, for Yosys takes hours for 30 Mbit of them.
    """
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        with patch.object(rtlil.ModuleEmitter, "emit_memory", _emit_memory):
            yield
    finally:
        gc.set_threshold(*before)


def _emit_memory(emitter, cell_idx, cell):
    """`rtlil.ModuleEmitter.emit_memory` of Amaranth 0.5.10, but for how DATA is made."""
    mask, words = (1 << cell.width) - 1, cell.init
    if cell.width * cell.depth > LARGEST_MEMORY and not any(words):
        words = words[:1]
    bits = "".join(format(row & mask, f"0{cell.width}b") for row in reversed(words)) if cell.width else ""
    emitter.builder.cell(
        "$meminit_v2",
        ports={
            "ADDR": emitter.sigspec(),
            "DATA": f"{len(bits)}'{bits}" if bits else emitter.sigspec(),
            "EN": emitter.sigspec(_nir.Value.ones(cell.width)),
        },
        parameters={
            "MEMID": emitter.memories[cell_idx].memid,
            "ABITS": 0,
            "WIDTH": cell.width,
            "WORDS": len(words),
            "PRIORITY": 0,
        },
        src_loc=cell.src_loc,
    )
