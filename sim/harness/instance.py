"""A unit's Verilog in the unit's place: the arguments of its `Instance`."""

import re
from typing import Any

from amaranth.hdl import ClockSignal, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .testbench import CLOCK, RESET


def connections(ports: Any, unit: wiring.Component, verilog: str) -> dict[str, Any]:
    """Of a unit whose Verilog this is, inside a component that has the unit's ports, or an interface of it that has them."""
    made = {}
    for path, member, _ in unit.signature.flatten(unit):
        value = ports
        for name in path:
            value = value[name] if isinstance(name, int) else getattr(value, name)
        if len(Value.cast(value)):
            made[f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}"] = value
    # what has no registers has no clock
    if re.search(rf"^\s*input {CLOCK};", verilog, re.MULTILINE):
        made |= {f"i_{CLOCK}": ClockSignal(), f"i_{RESET}": ResetSignal()}
    return made
