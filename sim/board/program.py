"""The program of a virtual board: the Verilog of its logic and `board.cpp` around it, compiled."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from boards import BoardFacts
from boards.virtual import VIRTUAL
from golden.contract.config import Config

from . import verilator
from .gateware import top_verilog

#: What bridges the serial pins of the logic to a port of this machine; it includes the headers beside it.
SOURCE = Path(__file__).with_name("board.cpp")

#: `tiny` in training, thousand cycles for each second of processor time: 935 with Verilator's defaults, 960 with these flags,
#: 1210 with -O2 on top (-O1 1120, -O3 1150), 1520 without reset (see `PowerOn`). Nothing: --flatten, --output-split 0,
#: profile-guided optimisation (2 %), -march=native (and it would tie the cache to one machine). A copy of one and the same
#: program may be 25 % slower or faster, by where its pages come to lie.
FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert")
MAKE_FLAGS = ("OPT_FAST=-O2", "OPT_GLOBAL=-O2")

#: For a board with an SDRAM, whose rules `board.cpp` then watches.
SDRAM_FLAGS = ("-CFLAGS", "-DSDRAM")

#: For a board that is to run for seconds only: `medium` compiles in 16 s of processor time instead of 39, at a fraction of the
#: speed.
BRIEF_FLAGS = ("OPT_FAST=-O0", "OPT_GLOBAL=-O0")


def list_memories(folder: Path) -> None:
    """Writes memories.inc: name, member, words and bits of each memory that Verilator kept, for faults on purpose."""
    # in the header of the model: highest bit, words, and name below `System`, or of the SDRAM
    memory = r"VlUnpacked<\w+(?:<\d+>)?/\*(\d+):0\*/, (\d+)> (\w+__DOT__(?:system__DOT__|(?=sdram__DOT__chip))(\w+));"
    found = re.findall(memory, (folder / "Vtop___024root.h").read_text())
    lines = [
        f'MEMORY("{name.replace("__DOT__", ".")}", {member}, {words}, {int(top) + 1})\n' for top, words, member, name in found
    ]
    (folder / "memories.inc").write_text("".join(lines))


def compile_board(
    verilog: str,
    *,
    flags: Sequence[str] = (),
    brief: bool = False,
    note: str | None = None,
    generate: Callable[[Path], None] = list_memories,
) -> Path:
    """The program of a board whose logic has this Verilog, with a top module like `gateware.PowerOn`.

    flags: further ones for `verilator`. brief: whether it is to run for seconds only, and be compiled the sooner.
    note: a line for standard error if the program has to be made. generate: lists what a fault can reach.
    """
    chip = SDRAM_FLAGS if "sdram_words" in verilog else ()
    every, optimised = (*FLAGS, *flags, *chip), BRIEF_FLAGS if brief else MAKE_FLAGS
    return verilator.executable(
        verilog, "top", [SOURCE], flags=every, make_flags=optimised, note=note, generate=generate
    )


def board_program(config: Config, board: BoardFacts = VIRTUAL, *, brief: bool = False) -> Path:
    """The program of a virtual board; says on standard error that it has to be made, if so. brief: see `compile_board`."""
    note = f"building the virtual board {config.spec.name!r}, once: about a minute"
    return compile_board(top_verilog(config, board), brief=brief, note=note)
