"""A virtual board whose flip-flops can be flipped: Verilator keeps each of them under its own name."""

import re
from pathlib import Path

from nudge.boards.virtual import VIRTUAL
from nudge.boards.virtual.gateware import top_verilog
from nudge.boards.virtual.program import compile_board, list_memories
from nudge.golden.contract.config import Config

#: Comment with which Verilator keeps a register, accepts values from outside, and recomputes the
#: dependent logic.
MARK = "/* verilator public_flat_rw */"

#: Declarations of a module's registers, without memories; and targets of assignments at a clock edge.
DECLARED = re.compile(r"^  reg (?:\[\d+:0\] )?(\S+)(?= ?(?: = .*)?;$)", re.MULTILINE)
CLOCKED = re.compile(r"^ +(\S+) +(?:\[[^]]*\] )?<= ", re.MULTILINE)

KEPT = re.compile(rf"^  reg (?:\[\d+:0\] )?(\S+) {re.escape(MARK)}", re.MULTILINE)

#: Amaranth's top module and `PowerOn`'s, and Verilator's names for them.
OUTER = re.compile(r"^top\.(top\.)?(system\.)?")


def marked(verilog: str) -> str:
    """Return Amaranth's Verilog with `MARK` at all flip-flops.

    Registers that exist in simulation only, as models of undefined read data
    (`hw.lib.block_memory`), aren't marked.
    """

    def mark(module: str) -> str:
        clocked = {name for name in CLOCKED.findall(module) if not name.startswith("undefined_")}
        return DECLARED.sub(lambda found: f"{found[0]} {MARK}" if found[1] in clocked else found[0], module)

    return "".join(mark(module) for module in re.split(r"(?<=endmodule\n)", verilog))


def list_faults(folder: Path) -> None:
    """Write memories.inc, and registers.inc with name, member and bits of each marked register."""
    list_memories(folder)
    names: set[str] = set()
    for module in re.split(r"(?<=endmodule\n)", (folder / "top.v").read_text()):
        for header in re.findall(r"^module (\S+?)[ (]", module, re.MULTILINE):
            names |= {f"{header}.{name}".replace("\\", "") for name in KEPT.findall(module)}
    # members in the header of Verilator's model: highest bit and name, with characters such as $ as
    # hexadecimal codes
    found = re.findall(
        r"(?:[CSIQ]Data|VlWide<\d+>)/\*(\d+):0\*/ (\w+);", (folder / "Vtop___024root.h").read_text()
    )
    lines = []
    for top, member in found:
        name = re.sub(r"__0([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), member.replace("__DOT__", "."))
        if name in names:
            lines.append(f'REGISTER("{OUTER.sub("", name)}", {member}, {int(top) + 1})\n')
    (folder / "registers.inc").write_text("".join(lines))


def faulty_board(config: Config, *, brief: bool = False) -> Path:
    """Compile a virtual board with entries in `VirtualBoard.registers`; it is slower than the usual one.

    brief: see `compile_board`.
    """
    note = f"building the virtual board {config.spec.name!r} with all flip-flops, once: about a minute"
    return compile_board(marked(top_verilog(config, VIRTUAL)), generate=list_faults, brief=brief, note=note)
