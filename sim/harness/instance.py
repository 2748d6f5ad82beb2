"""Instantiates a unit's Verilog instead of the unit: the arguments of its `Instance`."""

import re
from typing import Any

from amaranth.hdl import ClockSignal, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .testbench import CLOCK, RESET


def connections(ports: Any, unit: wiring.Component, verilog: str) -> dict[str, Any]:
    """Arguments of the `Instance` of a unit. ports: a component or interface with the unit's ports."""
    made = {}
    for path, member, _ in unit.signature.flatten(unit):
        value = ports
        for name in path:
            value = value[name] if isinstance(name, int) else getattr(value, name)
        if len(Value.cast(value)):
            made[f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}"] = value
    # Verilog without registers has no clock
    if re.search(rf"^\s*input {CLOCK};", verilog, re.MULTILINE):
        made |= {f"i_{CLOCK}": ClockSignal(), f"i_{RESET}": ResetSignal()}
    return made
