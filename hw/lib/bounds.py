"""Assignments to targets narrower than the widths of their terms require, each with its proof or reason.

Amaranth's sums and products are as wide as their operands require, and an assignment silently drops the bits
that its target has no room for. `sim/test_widths.py` lists the assignments that could drop bits: each must
use a function of this file. docs/generate.py makes a table of them.
"""

from amaranth.hdl import Shape, Value


def signed_range(bits: int) -> tuple[int, int]:
    """(-2^(bits-1), 2^(bits-1) - 1): the range of ``bits`` bits of two's complement."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def holds(shape: Shape, low: int, high: int) -> bool:
    """Whether a shape can represent every integer in low..high."""
    least, most = signed_range(shape.width) if shape.signed else (0, (1 << shape.width) - 1)
    return least <= low and high <= most


def bounded(target, value, low: int, high: int, why: str):
    """``target.eq(value)`` for a value within low..high, as ``why`` proves.

    `ValueError` if low..high doesn't fit the target.
    """
    shape = Value.cast(target).shape()
    if not holds(shape, low, high):
        raise ValueError(f"{low}..{high} don't fit {shape!r} ({why})")
    return target.eq(value)


def wraps(target, value, why: str):
    """``target.eq(value)`` modulo 2^len(target), on purpose; ``why`` has the reason."""
    return target.eq(value)


def low_bits(value, bits: int, why: str):
    """The ``bits`` low bits of a value, whose higher bits carry no information; ``why`` has the reason."""
    return value[:bits]
