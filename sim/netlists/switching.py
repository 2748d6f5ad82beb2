"""`python -m sim.netlists.switching NAME`: write transition rates for `boards.estimate.power`."""

import importlib
import json
import sys
import warnings

from amaranth.hdl import UnusedElaboratable

from nudge.boards.estimate.power import RATES
from nudge.plumbing import files

from .core_check import counts_file


def main(name: str) -> None:
    """Write switching.json from the counts that `sim/netlists/test_core_NAME.py` left in the build folder."""
    warnings.simplefilter("ignore", UnusedElaboratable)
    top = importlib.import_module(f"sim.netlists.test_core_{name}").TOP
    found = json.loads(counts_file(name).read_text())
    cycles = found["cycles"]
    rates = {kind: found["counts"][kind] / (len(drawn.wires) * cycles) for kind, drawn in top.drawn.items()}
    source = (
        f"core of {name} as cells of {top.fpga.name}, {found['samples']} digits of training and a "
        f"commit, {cycles} cycles"
    )
    sample = {kind: f"{len(drawn.wires)} of {drawn.total} wires" for kind, drawn in top.drawn.items()}
    files.write(RATES, json.dumps({"source": source, "sample": sample, "rates": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
