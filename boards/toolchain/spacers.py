"""Spacers: LUTs that compute nothing and keep room, so that there are wires enough for the logic around them.

nextpnr's analytical placer fills an ECP5 to three quarters wherever logic gathers (`cfg.beta` in ecp5/arch.cc of 0.11, which no
option changes), while half of the part stays empty; there more connections may be asked for than there are wires. A spacer
has one input, at the output of a flip-flop, and no output: it is placed near that, and takes a place that needs no more wires.
"""

from fractions import Fraction
from typing import Any

#: In a netlist for an ECP5, what a spacer is placed beside, and what it is; nextpnr counts it among these.
FLIP_FLOP, LUT, COUNTED_AS = "TRELLIS_FF", "LUT4", "TRELLIS_COMB"

#: Attribute of a flip-flop that has its place in a pin's cell, and may drive nothing but the pin.
IN_PIN = "syn_useioff"


def add(netlist: dict[str, Any], share: Fraction) -> int:
    """Adds a spacer to this share of the flip-flops of a netlist as Yosys writes it in JSON, evenly; how many there are now.

    Nothing else of the netlist changes, and a spacer drives nothing: so the logic stays as it was.
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share must be above 0 and at most 1, not {share}")
    cells = next(m["cells"] for m in netlist["modules"].values() if int(m["attributes"].get("top", "0"), 2))
    outputs = [
        cell["connections"]["Q"] for cell in cells.values() if cell["type"] == FLIP_FLOP and IN_PIN not in cell["attributes"]
    ]
    chosen = [output for n, output in enumerate(outputs) if n * share.numerator % share.denominator < share.numerator]
    for number, output in enumerate(chosen):
        cells[f"spacer.{number}"] = {
            "hide_name": 0,
            "type": LUT,
            "parameters": {"INIT": "0" * 16},
            "attributes": {},
            "port_directions": {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"},
            "connections": {"A": output, "B": [], "C": [], "D": [], "Z": []},
        }
    return len(chosen)
