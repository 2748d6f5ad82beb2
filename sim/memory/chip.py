"""Checks the rules of a simulated SDRAM chip in benches."""

import cocotb
from cocotb.triggers import RisingEdge

from nudge.boards.virtual.sdram_rules import Rule
from sim.harness.testbench import CLOCK


def verdict(dut, name: str) -> str | None:
    """The first rule of the SDRAM that was broken at unit `name`, with cycle and bank, or None."""
    number = int(getattr(dut, f"{name}__broken").value)
    if not number:
        return None
    cycle, bank = (int(getattr(dut, f"{name}__{what}").value) for what in ("cycle", "bank"))
    return f"{Rule(number).what}, in cycle {cycle}, bank {bank}"


def watch(dut, name: str) -> None:
    """Fails the test in the cycle after a rule was broken at unit `name`."""

    async def look() -> None:
        broken, edge = getattr(dut, f"{name}__broken"), RisingEdge(getattr(dut, CLOCK))
        while True:
            await edge
            if broken.value:
                raise AssertionError(f"{name}: {verdict(dut, name)}")

    cocotb.start_soon(look())
