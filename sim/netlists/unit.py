"""A unit of a bench as cells of a part, in its place."""

from functools import cached_property
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from boards.fpga import Fpga
from sim.harness.testbench import CLOCK, RESET

from .cells import blocks, netlist


class Cells(wiring.Component):
    """The netlist of a unit, with the unit's ports; it is synthesised when a bench is built.

    name: of its module, another one in each bench.
    """

    def __init__(self, unit: wiring.Component, name: str, fpga: Fpga):
        self.unit, self.module, self.fpga = unit, f"cells_{name}", fpga
        super().__init__(unit.signature)

    @cached_property
    def netlist(self) -> str:
        """Its Verilog."""
        return netlist(self.unit, self.module, self.fpga)

    @property
    def verilog(self) -> dict[str, str]:
        """By name, what the simulator has to read beside the bench: what two units share has the same name."""
        return {self.module: self.netlist} | blocks(self.fpga)

    def elaborate(self, platform):
        m = Module()
        m.submodules.netlist = Instance(self.module, **connections(self, self.unit, f"input {CLOCK};" in self.netlist))
        return m


def connections(component: wiring.Component, unit: wiring.Component, clocked: bool) -> dict[str, Any]:
    """Arguments of the `Instance` of a unit inside a component that has its ports."""
    ports = {}
    for path, member, _ in unit.signature.flatten(unit):
        value: Any = component
        for name in path:
            value = value[name] if isinstance(name, int) else getattr(value, name)
        if len(Value.cast(value)):
            ports[f"{'i' if member.flow == In else 'o'}_{'__'.join(map(str, path))}"] = value
    if clocked:
        ports |= {f"i_{CLOCK}": ClockSignal(), f"i_{RESET}": ResetSignal()}
    return ports
