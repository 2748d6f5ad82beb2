"""Slowest path of a routed Gowin design: nextpnr's delays, and those of the cells that it has none for.

nextpnr-himbaechel-gowin 0.11 analyses no path through a LUT of fewer than four inputs, a LUT that it adds
before a flip-flop, or a multiplier, nor one from or to some pins of block and LUT RAM; its fmax is that of
the others. The file of delays that it writes (SDF) has all wires. This module adds the missing cells, each
with the largest delay of its kind, and finds the slowest path between two registers. The clock reaches all
registers at once; pins aren't analysed.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from nudge.plumbing.errors import ToolError

#: Delay of a multiplier in ps. apycula has none. Gowin's data sheet (DS102, quoted from memory) has 4.8 ns
#: from an input register of the multiplier to its output; a quarter is added.
MULTIPLIER_PS = 6000

#: Start of a cell's type -> its kind. A kind of which nothing is known is no part of a path.
KINDS = {
    "LUT": "LUT",
    "MUX2_": "multiplexer",
    "ALU": "ALU",
    "MULT": "multiplier",
    "DFF": "flip-flop",
    "RAM16": "LUT RAM",
}
KINDS |= dict.fromkeys(("DP", "SDP", "SP"), "block RAM")
#: Kinds that hold state: paths begin at their outputs and end at their inputs.
REGISTERS = ("flip-flop", "LUT RAM", "block RAM")
#: Types without a path: constants, pins, clocks, and what nextpnr adds to a cell that occupies several
#: places.
OUTSIDE = ("GOWIN_", "IBUF", "OBUF", "TBUF", "IOBUF", "BUFG", "GSR", "rPLL", "DUMMY_CELL")

NUMBERS = r" \((?:\d+:\d+:)?(\d+)\)"
WIRE = re.compile(r"\(INTERCONNECT (\S+) (\S+)" + NUMBERS)
ARC = re.compile(r"\(IOPATH (\S+) (\S+)" + NUMBERS)
CHECK = re.compile(r"\(SETUPHOLD \(posedge (\S+)\) \(\w+ \S+\)" + NUMBERS)


@dataclass
class Cell:
    """A cell of an SDF file: delays from an input to an output, and setup times of inputs, in ps."""

    kind: str | None
    arcs: dict[tuple[str, str], int] = field(default_factory=dict)
    setups: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Slowest:
    """The slowest path: its delay, and the cells at its ends."""

    picoseconds: int
    start: str
    end: str


def _kind(name: str) -> str | None:
    if name.startswith(OUTSIDE):
        return None
    for start, kind in KINDS.items():
        if name.startswith(start):
            return kind
    raise ToolError(f"nextpnr's delays have a cell of an unknown kind: {name}")


def _is_clock(port: str) -> bool:
    return port.startswith("CLK")


def _read(lines: Iterable[str]) -> tuple[dict[str, Cell], list[tuple[str, str, int]]]:
    """Return the cells by name, and the wires: from pin, to pin, delay."""
    cells: dict[str, Cell] = {}
    wires, kind, cell = [], None, Cell(None)
    for line in lines:
        if found := WIRE.search(line):
            wires.append((found[1], found[2], int(found[3])))
        elif found := ARC.search(line):
            cell.arcs[found[1], found[2]] = int(found[3])
        elif found := CHECK.search(line):
            cell.setups[found[1]] = int(found[2])
        elif found := re.search(r'\(CELLTYPE "(\S+)"\)', line):
            kind = None if found[1] == "top" else _kind(found[1])
        elif found := re.search(r"\(INSTANCE (\S+)\)", line):
            cells[found[1]] = cell = Cell(kind)
    return cells, wires


def _complete(cells: dict[str, Cell], inputs: dict[str, set[str]], outputs: dict[str, set[str]]) -> None:
    """Adds the missing delays, each the largest of the cell's kind from a clock or from another input."""
    largest: dict[tuple[str | None, bool], int] = defaultdict(int, {("multiplier", False): MULTIPLIER_PS})
    setup: dict[str | None, int] = defaultdict(int)
    for cell in cells.values():
        for (start, _), delay in cell.arcs.items():
            key = cell.kind, _is_clock(start)
            largest[key] = max(largest[key], delay)
        setup[cell.kind] = max(setup[cell.kind], *cell.setups.values(), 0)
    for name, cell in cells.items():
        if cell.kind is None:
            continue
        held = cell.kind in REGISTERS
        for end in outputs[name]:
            if held and not any(_is_clock(start) and to == end for start, to in cell.arcs):
                cell.arcs["CLK", end] = largest[cell.kind, True]
            for start in () if held else inputs[name]:
                cell.arcs.setdefault((start, end), largest[cell.kind, False])
        for start in inputs[name] if held else ():
            if not _is_clock(start):
                cell.setups.setdefault(start, setup[cell.kind])


def slowest(lines: Iterable[str]) -> Slowest:
    """Return the slowest path of a design, of the lines of nextpnr's SDF file.

    Raises `ToolError` for a cell of an unknown kind, a loop of logic, and a file without a path.
    """
    cells, wires = _read(lines)
    inputs, outputs = defaultdict(set), defaultdict(set)
    into: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for start, end, delay in wires:
        (source, output), (sink, port) = (pin.rpartition("/")[::2] for pin in (start, end))
        if source not in cells:
            raise ToolError(f"nextpnr's delays have no cell {source!r}")
        # constants and clocks are no part of a path
        if cells[source].kind is not None:
            outputs[source].add(output)
            inputs[sink].add(port)
            into[end].append((start, delay))
    _complete(cells, inputs, outputs)
    #: Pin -> latest arrival in ps, and the cell where that path begins.
    latest: dict[str, tuple[int, str]] = {}
    for name, cell in cells.items():
        for (start, end), delay in cell.arcs.items():
            if _is_clock(start):
                latest[f"{name}/{end}"] = max(latest.get(f"{name}/{end}", (0, "")), (delay, name))
            elif start in inputs[name]:
                into[f"{name}/{end}"].append((f"{name}/{start}", delay))
    try:
        order = list(
            TopologicalSorter(
                {end: [start for start, _ in starts] for end, starts in into.items()}
            ).static_order()
        )
    except CycleError as error:
        raise ToolError(f"nextpnr's delays have a loop of logic at {error.args[1][0]}") from None
    for end in order:
        arrivals = [
            (latest[start][0] + delay, latest[start][1])
            for start, delay in into.get(end, ())
            if start in latest
        ]
        if arrivals:
            latest[end] = max([*arrivals, latest.get(end, (0, ""))])
    ends = [
        (latest[pin][0] + setup, latest[pin][1], name)
        for name, cell in cells.items()
        for port, setup in cell.setups.items()
        if (pin := f"{name}/{port}") in latest
    ]
    if not ends:
        raise ToolError("nextpnr's delays have no path between two registers")
    return Slowest(*max(ends))
