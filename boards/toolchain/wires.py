"""`python -m nudge.boards.toolchain.wires BOARD PRESET FOLDER ROUTE`: count the wires of an ECP5 build.

The counts are for `boards.estimate.power`. FOLDER: of the build. ROUTE: a seed that it was routed with or, if
it isn't routed yet, a preset that was counted for this board; that preset's segments are then scaled by the
number of wires.
"""

import dataclasses
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from nudge.boards.catalog import board
from nudge.boards.estimate.power import DESIGNS, SPANS, Wired, wired
from nudge.plumbing import files
from nudge.plumbing.errors import ToolError

from .readback import sections

#: Outputs that aren't wires: a carry leads directly to the next cell.
DIRECT = {("CCU2C", "COUT")}

#: Cells whose inputs are counted too -> the name of that count.
INPUTS = {"MULT18X18D": "MULT18X18D_inputs"}

#: Kinds of wires: the types of the cells that drive them, and inputs of multipliers.
KINDS = ("LUT4", "TRELLIS_FF", "CCU2C", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D", *INPUTS.values())

#: Patterns of nextpnr's wire names: a segment and its kind; an input of a cell with its multiplexer.
SEGMENT, INPUT = re.compile(r"(?:^|_)([HV]0[0126])[NESWLRTB]"), re.compile(r"(J?[ABCDM]|J?CE|J?LSR|MUXLSR)\d")


def nets(module: dict[str, Any]) -> dict[str, set[int]]:
    """Return the used wires of each kind, by their numbers in Yosys' JSON of a module."""
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
    """Return the number of connected inputs of a kind of cell."""
    cells = [cell for cell in module["cells"].values() if cell["type"] == kind]
    return sum(
        isinstance(bit, int)
        for cell in cells
        for name, bits in cell["connections"].items()
        if cell["port_directions"][name] == "input"
        for bit in bits
    )


def routed(config: str) -> tuple[dict[str, int], int]:
    """Return the driven segments by kind and the connected inputs of cells, from nextpnr's configuration."""
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
    """Count a board's build. route: a seed, or counts to scale. `ToolError` if the seed isn't routed."""
    module = json.loads((folder / "top.json").read_text())["modules"]["top"]
    cells = Counter(cell["type"] for cell in module["cells"].values())
    counted = {kind: len(wires) for kind, wires in nets(module).items()}
    # count pins here: a wire may lead to several
    for cell, kind in INPUTS.items():
        counted[kind] = pins(module, cell)
    if isinstance(route, Wired):
        made = f"{folder.name}, not routed: segments in proportion to those of {route.build}"
        found = Wired(
            board(name).platform().device, made, counted, {}, 0, cells["TRELLIS_FF"], cells["DP16KD"]
        )
        share = found.wires / route.wires
        segments = {kind: round(share * number) for kind, number in route.segments.items()}
        return dataclasses.replace(found, segments=segments, inputs=round(share * route.inputs))
    config = folder / f"seed{route}" / "top.config"
    if not config.is_file():
        raise ToolError(f"{folder} has no route of seed {route}: nudge build makes one")
    segments, inputs = routed(config.read_text())
    made = f"{folder.name}, seed {route}"
    return Wired(
        board(name).platform().device, made, counted, segments, inputs, cells["TRELLIS_FF"], cells["DP16KD"]
    )


def main(name: str, preset: str, folder: str, route: str) -> None:
    """Add the counts of a build to wires.json."""
    known = json.loads(DESIGNS.read_text()) if DESIGNS.exists() else {}
    like = int(route) if route.isdecimal() else wired(name, route)
    known[f"{name} {preset}"] = dataclasses.asdict(count(name, Path(folder), like))
    files.write(DESIGNS, json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
