"""Estimate of the logic cells and flip-flops of a unit.

Carry chains and distributed RAM are counted. The rest is a linear function of the unit's features,
with coefficients in coefficients.json that `boards.estimate.fit` fits to synthesised units.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nudge.plumbing.errors import DesignError

from .features import Features
from .mapping import Mapped

#: Counts of synthesised and routed designs, and the coefficients that are fitted to them.
COUNTS = Path(__file__).parent / "counts"
COEFFICIENTS = COUNTS / "coefficients.json"

#: Cells of a distributed RAM: four for the read port, two for the write port.
CELLS_OF_RAM = 6

#: Kind of unit -> features with a coefficient for cells, features with a coefficient for flip-flops.
MODEL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "array": (("unit", "state", "phi", "outputs", "chosen", "earlier", "address", "annealed", "multiplexed"),
              ("unit", "state", "phi", "outputs", "chosen", "earlier", "address")),
    "image engine": (("unit", "lanes", "chosen", "boxes", "multiplexed"),
                     ("unit", "lanes", "registers", "kernel", "window", "boxes")),
    "pixel engine": (("unit", "lanes", "address"), ("unit", "registers", "address")),
    "dense engine": (("unit", "forward", "backward", "address", "multiplexed"),
                     ("unit", "registers", "forward", "backward", "address")),
    "event engine": (("unit", "units", "held", "window", "multiplexed"),
                     ("unit", "registers", "units", "held")),
    "scatter engine": (("unit", "spikes", "address", "multiplexed"),
                       ("unit", "registers", "spikes", "address")),
    "line engine": (("unit", "kernel", "sums", "multiplexed"), ("unit", "registers", "window", "sums")),
    "conv update": (("unit", "lanes", "shared", "scalers", "turns", "boxes", "loops", "multiplexed"),
                    ("unit", "lanes", "products", "scalers", "turns", "boxes", "loops")),
    "dense update": (("unit", "lanes", "shared", "scalers", "chosen", "loops"),
                     ("unit", "lanes", "products", "scalers", "loops")),
    "weights": (("unit", "lanes", "rows", "address", "multiplexed", "centred", "put together", "slice"),
                ("unit", "lanes", "rows", "address", "multiplexed", "centred", "put together", "slice")),
    "shell": (("unit",), ("unit",)),
    "store": (("unit",), ("unit",)),
    "compact": (("unit",), ("unit",)),
}  # fmt: skip

#: Kinds that are only synthesised as part of a whole design.
WHOLE = ("shell", "store", "compact")


def counted(features: Features, memory: Mapped) -> tuple[float, float]:
    """Return the cells and flip-flops that are counted without a coefficient."""
    return features.get("carry", 0) + CELLS_OF_RAM * memory.distributed, memory.outputs + memory.registers


def all_features(features: Features, memory: Mapped) -> Features:
    """Return the features of a unit, together with those of its memories."""
    return features | {"multiplexed": memory.multiplexed}


class Coefficients(NamedTuple):
    """The result of a fit. In each pair the first entry is for cells, the second for flip-flops."""

    #: Kind of unit -> coefficients by feature.
    kinds: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]
    #: Size of a unit inside a whole design / size of the same unit synthesised alone.
    within: tuple[float, float] = (1.0, 1.0)


@cache
def committed() -> Coefficients:
    """Return the coefficients in coefficients.json."""
    found = json.loads(COEFFICIENTS.read_text())
    kinds = {kind: (each["cells"], each["flip-flops"]) for kind, each in found["kinds"].items()}
    return Coefficients(kinds, (found["within"]["cells"], found["within"]["flip-flops"]))


def alone(
    kind: str, features: Features, memory: Mapped, by: Coefficients | None = None
) -> tuple[float, float]:
    """Return cells and flip-flops of a unit that is synthesised alone: counted + sum(coefficient * feature).

    by: coefficients, the committed ones if None. Raises `DesignError` for a kind without coefficients.
    """
    kinds = (by or committed()).kinds
    if kind not in kinds:
        raise DesignError(f"there is no estimate for the cells of a {kind}")
    known, (cells, registers) = all_features(features, memory), counted(features, memory)
    of_cells, of_registers = kinds[kind]
    cells += sum(value * known[name] for name, value in of_cells.items())
    registers += sum(value * known[name] for name, value in of_registers.items())
    return cells, registers


def estimate(
    kind: str, features: Features, memory: Mapped, by: Coefficients | None = None
) -> tuple[float, float]:
    """Return cells and flip-flops of a unit inside a whole design: `alone` times `Coefficients.within`.

    For the kinds in `WHOLE` that factor is 1.
    """
    cells, registers = alone(kind, features, memory, by)
    # coefficients of WHOLE kinds were fitted to whole designs
    within = (1.0, 1.0) if kind in WHOLE else (by or committed()).within
    return cells * within[0], registers * within[1]
