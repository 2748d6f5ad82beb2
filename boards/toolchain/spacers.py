"""Spacers: LUTs without a function that spread the logic, so that the router finds enough wires.

nextpnr's analytical placer fills an ECP5 to three quarters wherever logic gathers (`cfg.beta` in ecp5/arch.cc
of 0.11; no option changes it) while half of the part stays empty; such an area may need more connections than
there are wires. A spacer has one input, connected to the output of a flip-flop, and no output. It is placed
near the flip-flop, and occupies a site that then needs no further wires.
"""

from fractions import Fraction
from typing import Any

#: Cell types of an ECP5: the flip-flop that a spacer is attached to, the spacer itself, and nextpnr's type
#: that includes it.
FLIP_FLOP, LUT, COUNTED_AS = "TRELLIS_FF", "LUT4", "TRELLIS_COMB"

#: Attribute of a flip-flop that is placed in a pin's I/O cell, and may drive only that pin.
IN_PIN = "syn_useioff"


def add(top: dict[str, Any], share: Fraction) -> int:
    """Adds a spacer to this share of the flip-flops, spread evenly, and returns the number of spacers.

    top: the top module of a netlist in Yosys' JSON. Nothing else in it changes, and a spacer drives nothing,
    so the logic stays the same.
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share must be above 0 and at most 1, not {share}")
    cells = top["cells"]
    outputs = [
        cell["connections"]["Q"]
        for cell in cells.values()
        if cell["type"] == FLIP_FLOP and IN_PIN not in cell["attributes"]
    ]
    chosen = [
        output
        for n, output in enumerate(outputs)
        if n * share.numerator % share.denominator < share.numerator
    ]
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
