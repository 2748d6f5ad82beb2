"""Enables of a Gowin block RAM's output register, which must equal those of its port even where it is
bypassed.

By Gowin's manual OCE has no effect in bypass mode, and Yosys connects it to 1. On boards, a read port whose
OCE differed from its CE skipped reads, and read after CE had fallen (YosysHQ/nextpnr, pull requests 1278 and
1285); nextpnr 0.11 corrects this for no kind of port.
"""

from typing import Any

#: Type of a cell -> output enable, and the port's enable that it must equal.
ENABLES = {name: {"OCE": "CEB"} for name in ("SDPB", "SDPX9B")}
ENABLES |= {name: {"OCEA": "CEA", "OCEB": "CEB"} for name in ("DPB", "DPX9B")}
ENABLES |= {name: {"OCE": "CE"} for name in ("SP", "SPX9")}


def follow(top: dict[str, Any]) -> None:
    """Connects each output enable to its port's enable. top: the top module of a netlist in Yosys' JSON."""
    for cell in top["cells"].values():
        for output, port in ENABLES.get(cell["type"], {}).items():
            cell["connections"][output] = cell["connections"][port]
