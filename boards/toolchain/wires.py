"""`python -m boards.toolchain.wires BOARD PRESET FOLDER ROUTE`: counts the wires of an ECP5 build.

For `boards.estimate.power`. FOLDER: of the build. ROUTE: a seed that it was routed with or, where there is none yet, a preset
that was counted for this board, whose segments are taken in proportion.
"""

import dataclasses
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from boards.catalog import board
from boards.estimate.power import DESIGNS, SPANS, Wired, wired
from plumbing import files
from plumbing.errors import ToolError

from .readback import sections

#: Outputs that aren't wires: carries go to the next cell directly.
DIRECT = {("CCU2C", "COUT")}

#: Cells whose inputs are counted too.
INPUTS = {"MULT18X18D": "MULT18X18D_inputs"}

#: Kinds of wires that are told apart, most by the cell that drives them.
KINDS = ("LUT4", "TRELLIS_FF", "CCU2C", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D", *INPUTS.values())

#: Of nextpnr's names: a segment's kind, and an input of a cell that a multiplexer of its own leads to.
SEGMENT, INPUT = re.compile(r"(?:^|_)([HV]0[0126])[NESWLRTB]"), re.compile(r"(J?[ABCDM]|J?CE|J?LSR|MUXLSR)\d")


def nets(module: dict[str, Any]) -> dict[str, set[int]]:
    """The wires of each kind that something reads, in a module as Yosys writes it in JSON, by their numbers there."""
    found: dict[str, set[int]] = defaultdict(set)
    read = {bit for port in module["ports"].values() if port["direction"] == "output" for bit in port["bits"]}
    for cell in module["cells"].values():
        for name, bits in cell["connections"].items():
            wires = {bit for bit in bits if isinstance(bit, int)}
            if cell["port_directions"][name] == "output":
                if (cell["type"], name) not in DIRECT:
                    found[cell["type"]] |= wires
                continue
            read |= wires
            if cell["type"] in INPUTS:
                found[INPUTS[cell["type"]]] |= wires
    return {kind: found[kind] & read for kind in KINDS if found[kind] & read}


def pins(module: dict[str, Any], kind: str) -> int:
    """Inputs of a kind of cell that a wire leads to."""
    cells = [cell for cell in module["cells"].values() if cell["type"] == kind]
    return sum(
        isinstance(bit, int)
        for cell in cells
        for name, bits in cell["connections"].items()
        if cell["port_directions"][name] == "input"
        for bit in bits
    )


def routed(config: str) -> tuple[dict[str, int], int]:
    """Segments of each kind that are driven, and inputs of cells, in a configuration as nextpnr writes it."""
    segments: Counter[str] = Counter()
    inputs = 0
    for lines in sections(config).values():
        for line in lines:
            if line.startswith("arc: "):
                sink = line.split()[1]
                if segment := SEGMENT.search(sink):
                    segments[segment[1]] += 1
                elif INPUT.match(sink):
                    inputs += 1
    return {kind: segments[kind] for kind in SPANS}, inputs


def count(name: str, folder: Path, route: int | Wired) -> Wired:
    """What a board's build in a folder has. route: a seed, or another count. `ToolError` where it isn't routed."""
    module = json.loads((folder / "top.json").read_text())["modules"]["top"]
    cells = Counter(cell["type"] for cell in module["cells"].values())
    counted = {kind: len(wires) for kind, wires in nets(module).items()}
    # of these each pin counts, and a wire may lead to several
    for cell, kind in INPUTS.items():
        counted[kind] = pins(module, cell)
    if isinstance(route, Wired):
        made = f"{folder.name}, not routed: segments in proportion to those of {route.build}"
        found = Wired(board(name).platform().device, made, counted, {}, 0, cells["TRELLIS_FF"], cells["DP16KD"])
        share = found.wires / route.wires
        segments = {kind: round(share * number) for kind, number in route.segments.items()}
        return dataclasses.replace(found, segments=segments, inputs=round(share * route.inputs))
    config = folder / f"seed{route}" / "top.config"
    if not config.is_file():
        raise ToolError(f"{folder} has no route of seed {route}: nudge build makes one")
    segments, inputs = routed(config.read_text())
    made = f"{folder.name}, seed {route}"
    return Wired(board(name).platform().device, made, counted, segments, inputs, cells["TRELLIS_FF"], cells["DP16KD"])


def main(name: str, preset: str, folder: str, route: str) -> None:
    """Add a build to what is committed."""
    known = json.loads(DESIGNS.read_text()) if DESIGNS.exists() else {}
    like = int(route) if route.isdecimal() else wired(name, route)
    known[f"{name} {preset}"] = dataclasses.asdict(count(name, Path(folder), like))
    files.write(DESIGNS, json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
