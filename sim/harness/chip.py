"""Benches with a simulated chip of SDRAM: a broken rule ends them."""

import cocotb
from cocotb.triggers import RisingEdge

from sim.board.sdram_rules import Rule

from .testbench import CLOCK


def verdict(dut, name: str) -> str | None:
    """The first rule that the traffic at unit `name` broke, with cycle and bank; None if it broke none."""
    number = int(getattr(dut, f"{name}__broken").value)
    if not number:
        return None
    cycle, bank = (int(getattr(dut, f"{name}__{what}").value) for what in ("cycle", "bank"))
    return f"{Rule(number).what}, in cycle {cycle}, bank {bank}"


def watch(dut, name: str) -> None:
    """Fails the test in the cycle after one in which unit `name` breaks a rule."""

    async def look() -> None:
        broken, edge = getattr(dut, f"{name}__broken"), RisingEdge(getattr(dut, CLOCK))
        while True:
            await edge
            if broken.value:
                raise AssertionError(f"{name}: {verdict(dut, name)}")

    cocotb.start_soon(look())
