"""A unit of a bench, replaced by its netlist of a part's cells."""

from functools import cached_property

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring

from nudge.boards.fpga import Fpga
from sim.harness.instance import connections

from .cells import blocks, netlist


class Cells(wiring.Component):
    """The netlist of a unit, with the unit's ports. The unit is synthesised when a bench is built.

    name: of the netlist's module, which must be unique among the benches.
    """

    def __init__(self, unit: wiring.Component, name: str, fpga: Fpga):
        self.unit, self.module, self.fpga = unit, f"cells_{name}", fpga
        super().__init__(unit.signature)

    @cached_property
    def netlist(self) -> str:
        """Verilog of the netlist."""
        return netlist(self.unit, self.module, self.fpga)

    @property
    def verilog(self) -> dict[str, str]:
        """Name and text of each Verilog file that the simulator needs; shared files have the same name."""
        return {self.module: self.netlist} | blocks(self.fpga)

    def elaborate(self, platform):
        m = Module()
        m.submodules.netlist = Instance(self.module, **connections(self, self.unit, self.netlist))
        return m
