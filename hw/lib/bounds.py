"""Assignments that keep all of a value though the widths of its terms don't say so, each with what does.

Amaranth's sums and products have all bits that they need, and an assignment drops what its target has no room for, without a
word. `sim/test_widths.py` finds those that could; each is one of these, and docs/generate.py makes a table of them.
"""

from amaranth.hdl import Shape, Value


def signed_range(bits: int) -> tuple[int, int]:
    """What so many bits of two's complement hold."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def holds(shape: Shape, low: int, high: int) -> bool:
    """Whether a shape has all of low..high."""
    least, most = signed_range(shape.width) if shape.signed else (0, (1 << shape.width) - 1)
    return least <= low and high <= most


def bounded(target, value, low: int, high: int, why: str):
    """``target.eq(value)`` of a value within low..high, as ``why`` proves; `ValueError` where these don't fit the target."""
    shape = Value.cast(target).shape()
    if not holds(shape, low, high):
        raise ValueError(f"{low}..{high} don't fit {shape!r} ({why})")
    return target.eq(value)


def wraps(target, value, why: str):
    """``target.eq(value)`` modulo what the target has room for, on purpose: ``why``."""
    return target.eq(value)


def low_bits(value, bits: int, why: str):
    """The low bits of a value, whose others say nothing: ``why``."""
    return value[:bits]
