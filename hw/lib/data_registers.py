"""Registers without a reset, one for each of several lanes."""

from amaranth.hdl import Signal


def data_registers(name: str, shape, count: int) -> list[Signal]:
    """``count`` data registers, named NAME_0, NAME_1, ..., without a reset: valid bits accompany them."""
    return [Signal(shape, name=f"{name}_{n}", reset_less=True) for n in range(count)]
