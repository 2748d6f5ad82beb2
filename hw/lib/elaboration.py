"""Elaboration of designs in half the time, and of large memories in seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from amaranth.back import rtlil
from amaranth.hdl import _nir

from nudge.golden.contract.config import LARGEST_MEMORY

#: Objects created between two runs of Python's garbage collector; the default is 700. The core of `small` is
#: millions of objects, all of which live until its text is written: 7.9 s with the default, 4.5 s with this,
#: 5.1 s with no collector.
OBJECTS = 50_000


@contextmanager
def fast_elaboration() -> Iterator[None]:
    """Context in which Amaranth elaborates faster.

    The garbage collector runs less often, since it can free hardly anything during elaboration. The initial
    words of memories are written as text: Amaranth makes an object of each bit, which takes a third of the
    time and, for 90 Mbit, more memory than most machines have. The RTLIL is the same
    (`sim/lib/test_elaboration.py`), except for all-zero memories of more than `LARGEST_MEMORY` bits, which no
    part here can hold: only their first word is initialised and the others are undefined in simulation,
    because Yosys takes hours for 30 Mbit of zeros.
    """
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        with patch.object(rtlil.ModuleEmitter, "emit_memory", _emit_memory):
            yield
    finally:
        gc.set_threshold(*before)


def _emit_memory(emitter, cell_idx, cell):
    """`rtlil.ModuleEmitter.emit_memory` of Amaranth 0.5.10, except for the way DATA is made."""
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
