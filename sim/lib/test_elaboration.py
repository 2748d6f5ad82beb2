# amaranth: UnusedElaboratable=no
"""`fast_elaboration` gives the same RTLIL as Amaranth, and restores all settings, even after an error."""

import gc

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib.memory import Memory

from nudge.golden.contract.config import LARGEST_MEMORY
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.elaboration import OBJECTS, fast_elaboration


def elaborate_in_vain() -> None:
    with fast_elaboration():
        raise ValueError(gc.get_threshold()[0])


def test_the_collector_is_as_it_was():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match=f"^{OBJECTS}$"):
        elaborate_in_vain()
    assert gc.get_threshold() == before


def memories() -> tuple[Module, list[Signal]]:
    """Return memories 1 to 152 bits wide, some with initial words (0 to the highest), and their outputs."""
    m, out = Module(), []
    for number, (width, depth, words) in enumerate(
        [(1, 5, [1, 0, 1]), (13, 9, []), (152, 33, [7, (1 << 152) - 1, 1 << 151])]
    ):
        m.submodules[f"memory_{number}"] = memory = Memory(shape=unsigned(width), depth=depth, init=words)
        m.submodules[f"block_{number}"] = block = BlockMemory(shape=unsigned(width), depth=depth)
        for kind in (memory, block):
            read = kind.read_port()
            kind.write_port()
            out.append(read.data)
    return m, out


def test_the_text_is_the_same():
    m, ports = memories()
    amaranths = rtlil.convert(m, ports=ports, emit_src=False)
    with fast_elaboration():
        m, ports = memories()
        assert rtlil.convert(m, ports=ports, emit_src=False) == amaranths
    assert "152'1111" in amaranths
    m, ports = memories()
    assert rtlil.convert(m, ports=ports, emit_src=False) == amaranths


@pytest.mark.parametrize(("words", "said"), [([], 1), ([0, 1], 4096)])
def test_only_the_first_word_of_many_zeros_is_said(words, said):
    m = Module()
    m.submodules.memory = memory = Memory(shape=unsigned(LARGEST_MEMORY // 4096 + 1), depth=4096, init=words)
    memory.write_port()
    with fast_elaboration():
        text = rtlil.convert(m, ports=[memory.read_port().data], emit_src=False)
    assert f"parameter \\WORDS {said}\n" in text
