"""Registers of several lanes."""

from amaranth.hdl import Signal


def data_registers(name: str, shape, count: int) -> list[Signal]:
    """So many registers of data, named NAME_0 and so on. They need no reset: valid bits are beside them."""
    return [Signal(shape, name=f"{name}_{n}", reset_less=True) for n in range(count)]
