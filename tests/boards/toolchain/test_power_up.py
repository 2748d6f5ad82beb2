"""Shortened initial contents of memories are the same contents, in short blocks."""

import re

import pytest

from nudge.boards.toolchain.power_up import BLOCK_WORDS, compacted
from nudge.boards.toolchain.tools import run as run_tool

MODULE = """\
module \\top.{name} (clk, a, wa, wd, we, q);
  input clk, we;
  input [7:0] a, wa;
  input [{top}:0] wd;
  output reg [{top}:0] q;
  reg [{top}:0] memory [{last}:0];
  initial begin
{words}  end
  always @(posedge clk) begin
    if (we)
      memory[wa] <= wd;
    q <= memory[a];
  end
endmodule
"""


def module(name, words, bits=8):
    """Return Yosys' Verilog of a memory with these words."""
    each = "".join(f"    memory[{n}] = {written(word, bits)};\n" for n, word in enumerate(words))
    return MODULE.format(name=name, last=len(words) - 1, words=each, top=bits - 1)


def written(word, bits):
    """Return a word in Yosys' notation: hexadecimal, but decimal for 32 bits."""
    return f"{bits}'d{word}" if bits == 32 else f"{bits}'h{word:0{-(-bits // 4)}x}"


#: Contents of memories: zeros, not a whole number of blocks; equal words other than 0; different words; a
#: single block.
CONTENTS = {"zeros": [0] * 130, "same": [0x5A] * 65, "mixed": list(range(100)), "short": [7] * BLOCK_WORDS}
TEXT = "".join(module(name, words) for name, words in CONTENTS.items()) + module("wide", [0] * 70, 32)


def initial_words(text, folder):
    """Return the initial contents that Yosys reads for each module's memory."""
    (folder / "memory.v").write_text(text)
    words = ["yosys", "-p", "read_verilog memory.v; proc; memory_collect; write_rtlil memory.il"]
    assert run_tool(words, "yowasp", folder, folder / "out.log") is None
    text = (folder / "memory.il").read_text()
    return dict(re.findall(r"^module \\(top\.\w+)$.*?parameter \\INIT (\d+'[01x]+)$", text, re.M | re.S))


def test_yosys_finds_the_same_words(tmp_path):
    found = initial_words(compacted(TEXT), tmp_path)
    assert found == initial_words(TEXT, tmp_path)
    zeros, same = found["top.zeros"], found["top.same"]
    assert zeros == f"{8 * 130}'" + "0" * 8 * 130
    assert same == f"{8 * 65}'" + "01011010" * 65


def test_blocks_are_short():
    made = compacted(TEXT)
    blocks = re.findall(r"^  initial begin\n(.*?)^  end\n", made, re.M | re.S)
    assert [block.count("\n") for block in blocks] == [BLOCK_WORDS, 100 - BLOCK_WORDS, BLOCK_WORDS]
    assert made.count("generate\n") == 2 * 3  # a loop for zeros, one for the same word, one for wide words
    assert compacted(made) == made


def test_what_is_written_before_it_is_read_is_left_open(tmp_path):
    made = compacted(TEXT, ("mixed",))
    found = initial_words(made, tmp_path)
    assert set(found.pop("top.mixed").partition("'")[2]) == {"x"}
    before = initial_words(compacted(TEXT), tmp_path)
    del before["top.mixed"]
    assert found == before


@pytest.mark.parametrize("unread", ["none", "short"])
def test_a_memory_that_is_not_there_is_named(unread):
    with pytest.raises(ValueError, match=f"no large memory in {unread}"):
        compacted(TEXT, (unread,))
