"""Shorter initial contents of memories, in Verilog that Yosys has written.

Yosys writes an assignment for each word, all of a memory in one `initial` block. The time to read such a
block back grows with the square of its words: minutes for a frame buffer with 32,768 words
(docs/log/2026-11-27-export.md).
"""

import re
from collections.abc import Iterator

#: Maximum number of words in one `initial` block.
BLOCK_WORDS = 64

MODULE = re.compile(r"module (\S+)\s?\(")
WORD = re.compile(r"    (\w+)\[(\d+)\] = (\d+'(?:h[0-9a-f]+|d\d+));")  # 32 bits in decimal

#: Verilog that initialises a memory whose words are all equal, in blocks.
LOOP = """\
  genvar {memory}_at;
  generate
    for ({memory}_at = {first}; {memory}_at < {end}; {memory}_at = {memory}_at + {block})
    begin : {memory}_initial
      integer i;
      initial for (i = {memory}_at; i < {memory}_at + {block} && i < {end}; i = i + 1) {memory}[i] = {word};
    end
  endgenerate
"""


def compacted(text: str, unread: tuple[str, ...] = ()) -> str:
    """Return the same modules, with `initial` blocks of at most `BLOCK_WORDS` words.

    unread: names of modules (the part behind the last dot) whose memory `memory` is always written before it
    is read; its contents are left undefined. Raises `ValueError` for a module without such a memory of more
    than `BLOCK_WORDS` words.
    """
    out, missing, module = [], set(unread), ""
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        if found := MODULE.match(line):
            module = found[1].rpartition(".")[2]
        if line != "  initial begin\n":
            out.append(line)
            continue
        body = list(_until_end(lines))
        words = [WORD.fullmatch(word.rstrip("\n")) for word in body]
        if len(body) <= BLOCK_WORDS or not all(words):
            out += [line, *body, "  end\n"]
            continue
        (memory,) = {word[1] for word in words if word}
        if memory == "memory" and module in unread:
            missing.discard(module)
            continue
        out.append(_block(memory, [(int(word[2]), word[3]) for word in words if word]))
    if missing:
        raise ValueError(f"no large memory in {', '.join(sorted(missing))}")
    return "".join(out)


def _until_end(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines up to the block's `end`, which is consumed."""
    for line in lines:
        if line == "  end\n":
            return
        yield line


def _block(memory: str, words: list[tuple[int, str]]) -> str:
    """Return Verilog for the initial contents of a memory. words: address and value of each."""
    first, end = words[0][0], words[-1][0] + 1
    values = {value for _, value in words}
    if len(values) == 1 and [address for address, _ in words] == list(range(first, end)):
        return LOOP.format(memory=memory, first=first, end=end, block=BLOCK_WORDS, word=values.pop())
    each = [f"    {memory}[{address}] = {value};\n" for address, value in words]
    return "".join(
        "  initial begin\n" + "".join(each[at : at + BLOCK_WORDS]) + "  end\n"
        for at in range(0, len(each), BLOCK_WORDS)
    )
