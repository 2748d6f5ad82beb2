"""Counts of transitions in a netlist, for a random sample of wires of each kind."""

import json
import random
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.hdl import ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.boards.fpga import Fpga
from nudge.boards.toolchain.wires import KINDS, nets
from sim.harness.instance import connections

from .cells import DESIGN, blocks, cells, modelled

#: The counter's Verilog.
COUNTER = Path(__file__).with_name("transitions.v")

#: Width of a counter in bits.
BITS = 40

#: Maximum number of wires of a kind that are counted.
SAMPLE = 2048


class Drawn(NamedTuple):
    """The wires of a kind: their number, and the numbers in the netlist of those that are counted."""

    total: int
    wires: list[int]


def draw(module: dict[str, Any], seed: int) -> dict[str, Drawn]:
    """Draw a sample of the used wires of each kind in Yosys' JSON of a module."""
    chosen, found = random.Random(seed), nets(module)
    return {
        kind: Drawn(len(used), sorted(chosen.sample(sorted(used), min(SAMPLE, len(used)))))
        for kind, used in found.items()
    }


class Probed(wiring.Component):
    """A unit's netlist with the unit's ports and counters of transitions. seed: of the draw of wires.

    Members
    -------
    counting : In(1)
        High: the counters count.
    counted : Out(BITS)
        Cycles in which ``counting`` was high.
    count_KIND : Out(BITS)
        Transitions of the drawn wires of that kind while ``counting`` was high.
    """

    def __init__(self, unit: wiring.Component, name: str, fpga: Fpga, seed: int = 1):
        self.unit, self.module, self.fpga, self.seed = unit, f"probed_{name}", fpga, seed
        counters = {"counting": In(1), "counted": Out(BITS)} | {f"count_{kind}": Out(BITS) for kind in KINDS}
        super().__init__(dict(unit.signature.members) | counters)

    @cached_property
    def design(self) -> dict[str, Any]:
        """The unit's cells, in Yosys' JSON."""
        return cells(self.unit, self.module, self.fpga)

    @cached_property
    def drawn(self) -> dict[str, Drawn]:
        """The wires that are counted, by kind."""
        return draw(self.design["modules"][self.module], self.seed)

    @cached_property
    def netlist(self) -> str:
        """Verilog of the netlist, with an output ``probe_KIND`` for the drawn wires of each kind."""
        module = self.design["modules"][self.module]
        probes = {
            f"probe_{kind}": {"direction": "output", "bits": drawn.wires}
            for kind, drawn in self.drawn.items()
        }
        text = json.dumps({"modules": {self.module: module | {"ports": module["ports"] | probes}}})
        return modelled(self.module, self.fpga, text, [f"read_json {DESIGN}"])

    @property
    def verilog(self) -> dict[str, str]:
        """Name and text of each Verilog file that the simulator needs; see `Cells.verilog`."""
        return {self.module: self.netlist, COUNTER.stem: COUNTER.read_text()} | blocks(self.fpga)

    def elaborate(self, platform):
        m = Module()
        ports = connections(self, self.unit, self.netlist)
        for kind, drawn in self.drawn.items():
            wires = Signal(len(drawn.wires), name=f"wires_{kind}")
            ports[f"o_probe_{kind}"] = wires
            m.submodules[kind] = Instance(
                COUNTER.stem,
                p_WIRES=len(wires),
                p_BITS=BITS,
                i_clk=ClockSignal(),
                i_counting=self.counting,
                i_wires=wires,
                o_count=getattr(self, f"count_{kind}"),
            )
        m.submodules.netlist = Instance(self.module, **ports)
        m.d.sync += self.counted.eq(self.counted + self.counting)
        return m
