"""COBS with zero runs, the coding of requests and stored images (`messages` defines the code bytes)."""

import re

from .messages import FULL_BLOCK, LONGEST_RUN

#: Bytes of a full block, which stands for no zero.
FULL = FULL_BLOCK - 1


def stuff(data: bytes) -> bytes:
    """Return the data coded without zeros, in fewer bytes if many were zero."""
    out, owed = bytearray(), False  # owed: the last block's zero, which counts only if another block follows
    for part in re.finditer(rb"([^\0]*)(\0*)", data):
        block, zeros = part[1], len(part[2])
        while len(block) >= FULL:
            out += bytes((FULL_BLOCK,)) + block[:FULL]
            block, owed = block[FULL:], False
        if block:
            out += bytes((len(block) + 1,)) + block
            owed, zeros = zeros > 0, max(zeros - 1, 0)
        while zeros > 1:
            run = min(zeros, LONGEST_RUN)
            out.append(FULL_BLOCK - 1 + run)
            zeros, owed = zeros - run, False
        if zeros:
            out.append(1)
            owed = True
    return bytes(out) + b"\1" * owed


def unstuff_partly(stuffed: bytes) -> tuple[bytes, bool]:
    """Return the decoded bytes, as far as they go, and whether the last block is cut short.

    A code byte of 0, which `stuff` never makes, is read as 1.
    """
    out, at, zero = bytearray(), 0, False
    while at < len(stuffed):
        code = max(stuffed[at], 1)
        out += bytes(zero)
        if code > FULL_BLOCK:
            out += bytes(code - FULL)
            at, zero = at + 1, False
        else:
            out += stuffed[at + 1 : at + code]
            at, zero = at + code, code != FULL_BLOCK
    return bytes(out), at > len(stuffed)
