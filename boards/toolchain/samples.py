"""`python -m nudge.boards.toolchain.samples`: synthesise the units and designs that `boards.estimate.fit`
fits to; takes hours.

designs.json names networks and units. Each unit is synthesised alone, as in a build, and its counts go to
samples.csv. Each network with a board is synthesised whole as well, with its link, and its counts go to
designs.json. Netlists that are kept in the build folder aren't made again.
"""

import csv
import dataclasses
import json
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Value

from nudge.boards.catalog import board
from nudge.boards.estimate.cells import CELLS_OF_RAM
from nudge.boards.estimate.fit import COUNTS, DESIGNS, SAMPLES, config_of
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import BuildFacts
from nudge.hw.core.core import SYNAPSE_ENGINES, UPDATE_ENGINES
from nudge.hw.core.deviation_array import array_of
from nudge.hw.core.weights import Weights
from nudge.hw.lib.elaboration import fast_elaboration
from nudge.plumbing.cache import build_root
from nudge.plumbing.errors import ToolError

from . import tools
from .build import synthesise
from .netlist import plain_names, synthesis, undefined_collisions

#: Board whose synthesis options are used for units.
BOARD = "ulx3s"


def count(netlist: dict[str, Any]) -> dict[str, int]:
    """Return cells, flip-flops, block RAMs and multipliers of a netlist for an ECP5, as nextpnr packs them.

    A carry chain takes an additional pair of cells at its start, at its end, and at each carry that other
    logic reads.
    """
    cells = netlist["modules"]["top"]["cells"].values()
    found: Counter[str] = Counter(cell["type"] for cell in cells)
    users: Counter[int | str] = Counter()
    carries = [cell["connections"] for cell in cells if cell["type"] == "CCU2C"]
    for cell in cells:
        for name, bits in cell["connections"].items():
            if cell["port_directions"][name] == "input" and (name, cell["type"]) != ("CIN", "CCU2C"):
                users.update(bits)
    driven, taken = (
        {bit for c in carries for bit in c.get("COUT", ())},
        {bit for c in carries for bit in c["CIN"]},
    )
    ends = sum(bool(c["CIN"]) and c["CIN"][0] not in driven for c in carries)
    ends += sum(
        bool(c.get("COUT")) and (c["COUT"][0] not in taken or users[c["COUT"][0]] > 0) for c in carries
    )
    logic = found["LUT4"] + 2 * found["CCU2C"] + CELLS_OF_RAM * found["TRELLIS_DPR16X4"] + 2 * ends
    return dict(zip(COUNTS, (logic, found["TRELLIS_FF"], found["DP16KD"], found["MULT18X18D"]), strict=True))


def unit_of(config: Config, name: str) -> Any:
    """Return the component of a unit such as ``array_2``."""
    kind, number = name.split("_")
    bundle = config.spec.bundles[int(number) - 1]
    if kind == "array":
        return array_of(config, bundle.post)
    if kind == "engine":
        return SYNAPSE_ENGINES[config.engine(bundle)](config, bundle)
    return UPDATE_ENGINES[bundle.kind](config, bundle) if kind == "update" else Weights(config, bundle)


def synthesised_unit(config: Config, name: str, folder: Path) -> dict[str, int]:
    """Return the counts of a unit that is synthesised alone.

    Outputs that only benches read, or that the whole design doesn't use, aren't among its ports, so that
    their logic is removed.
    """
    kept = folder / f"{name}.count.json"
    if not kept.exists():
        unit = unit_of(config, name)
        unread = {"trace"} | ({"pre_sums"} if getattr(unit, "output", False) else set())
        ports = [
            Value.cast(value) for path, _, value in unit.signature.flatten(unit) if path[0] not in unread
        ]
        with fast_elaboration():
            text = rtlil.convert(unit, ports=ports, platform=object(), name="top", emit_src=False)
        (folder / "top.il").write_text(undefined_collisions(plain_names(text)))
        script = ("read_rtlil top.il", synthesis(board(BOARD), "top"), "write_json top.json")
        (folder / "top.ys").write_text("\n".join(script) + "\n")
        failure = tools.run(["yosys", "-q", "top.ys"], "yowasp", folder, Path("yosys.log"))
        if failure:
            raise ToolError(f"yosys failed: {failure.reason}; see {folder / 'yosys.log'}")
        kept.write_text(json.dumps(count(json.loads((folder / "top.json").read_text()))))
    return dict(json.loads(kept.read_text()))


def synthesised(config: Config, name: str, on: str, stores: bool, folder: Path) -> dict[str, int]:
    """Return the counts of a whole design for a board. stores: with the memory for stored samples."""
    folder.mkdir(exist_ok=True)
    fpga = board(on).with_network(config.spec)
    fpga = fpga if stores else dataclasses.replace(fpga, sdram=None)
    design = dataclasses.replace(fpga.design(name), config=config, spacers=Fraction(0))
    synthesise(dataclasses.replace(fpga, designs={name: design}), name, BuildFacts(), folder, "yowasp", print)
    return count(json.loads((folder / "top.json").read_text()))


def main(names: list[str]) -> None:
    """Synthesise these designs, or all, and update samples.csv and designs.json."""
    designs = json.loads(DESIGNS.read_text())
    with SAMPLES.open() as file:
        rows = {(row["design"], row["unit"]): row for row in csv.DictReader(file)}
    for name in names or designs:
        known, config, folder = designs[name], config_of(name), build_root() / "estimate" / name
        folder.mkdir(parents=True, exist_ok=True)
        for unit in known.get("units", ()):
            print(f"{name}: {unit}")
            rows[name, unit] = {"design": name, "unit": unit} | synthesised_unit(config, unit, folder)
        if "board" in known and not known.get("compact"):
            known["whole"] = synthesised(
                config, name, known["board"], known.get("stores", False), folder / "whole"
            )
    with SAMPLES.open("w") as file:
        writer = csv.DictWriter(file, ("design", "unit", *COUNTS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
    lines = (f" {json.dumps(name)}: {json.dumps(known)}" for name, known in designs.items())
    DESIGNS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
