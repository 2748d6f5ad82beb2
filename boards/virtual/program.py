"""Compiles the program of a virtual board from the Verilog of its logic and `board.cpp`."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from nudge.boards import BoardFacts
from nudge.boards.virtual import VIRTUAL
from nudge.golden.contract.config import Config

from . import verilator
from .gateware import top_verilog

#: C++ source that connects the serial pins to a port of this machine, with the headers beside it.
SOURCE = Path(__file__).with_name("board.cpp")

#: Speed of `tiny` in training, in thousands of cycles per second of processor time: 935 with Verilator's
#: defaults, 960 with these flags, 1210 with -O2 as well (-O1 1120, -O3 1150), 1520 also without reset (see
#: `PowerOn`). Without effect: --flatten, --output-split 0, profile-guided optimisation (2 %), -march=native
#: (which would also tie the cache to one machine). Copies of the same program may be 25 % slower or faster,
#: depending on the placement of their pages.
FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert")
MAKE_FLAGS = ("OPT_FAST=-O2", "OPT_GLOBAL=-O2")

#: Flags for a board with an SDRAM: `board.cpp` then checks its rules.
SDRAM_FLAGS = ("-CFLAGS", "-DSDRAM")

#: For a board that runs for seconds only: `medium` compiles in 16 s of processor time instead of 39, and runs
#: at a fraction of the speed.
BRIEF_FLAGS = ("OPT_FAST=-O0", "OPT_GLOBAL=-O0")


def list_memories(folder: Path) -> None:
    """Writes memories.inc, for faults: name, member, words and bits of each memory in the verilated model."""
    # matches the header of the model: highest bit, words, name below `System` or of the SDRAM
    memory = (
        r"VlUnpacked<\w+(?:<\d+>)?/\*(\d+):0\*/, (\d+)> "
        r"(\w+__DOT__(?:system__DOT__|(?=sdram__DOT__chip))(\w+));"
    )
    found = re.findall(memory, (folder / "Vtop___024root.h").read_text())
    lines = [
        f'MEMORY("{name.replace("__DOT__", ".")}", {member}, {words}, {int(top) + 1})\n'
        for top, words, member, name in found
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
    """Compiles the program of a board from the Verilog of its logic, whose top module is like
    `gateware.PowerOn`.

    flags: additional ones for `verilator`. brief: the program runs for seconds only, so compile fast rather
    than optimise. note: a line for standard error if the program isn't in the cache. generate: writes the
    list of memories for faults.
    """
    chip = SDRAM_FLAGS if "sdram_words" in verilog else ()
    every, optimised = (*FLAGS, *flags, *chip), BRIEF_FLAGS if brief else MAKE_FLAGS
    return verilator.executable(
        verilog, "top", [SOURCE], flags=every, make_flags=optimised, note=note, generate=generate
    )


def board_program(config: Config, board: BoardFacts = VIRTUAL, *, brief: bool = False) -> Path:
    """Compile the program of a virtual board, with a note on standard error unless it is cached.

    brief: as in `compile_board`.
    """
    note = f"building the virtual board {config.spec.name!r}, once: about a minute"
    return compile_board(top_verilog(config, board), brief=brief, note=note)
