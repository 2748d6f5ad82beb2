"""`python -m nudge.boards.estimate.fit`: fit the coefficients of `boards.estimate.cells` to synthesised
units and designs.

samples.csv has the counts of units that were synthesised alone. designs.json has the networks that the units
belong to, and the counts of those networks that were synthesised whole. `boards.toolchain.samples` writes
both. No coefficient is fitted to a design that is held out.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nudge.boards.catalog import board
from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.network_file import network
from nudge.golden.contract.presets import PRESETS

from . import cells
from .units import Unit, units

SAMPLES, DESIGNS = cells.COUNTS / "samples.csv", cells.COUNTS / "designs.json"

#: A design with a memory for stored samples, and the same design without.
STORE = ("medium-unshared-stores", "medium-unshared")

#: The counts of a netlist: columns of samples.csv.
COUNTS = ("cells", "flip-flops", "blocks", "multipliers")


class Sample(NamedTuple):
    """A unit that was synthesised alone, with its counts."""

    design: str
    unit: Unit
    cells: int
    registers: int
    blocks: int
    multipliers: int


def config_of(name: str) -> Config:
    """Return network and lanes of a design in designs.json.

    The network is the one under `network`, else the preset named by `preset`, else the preset of the design's
    name; `like` names another design that has all of these entries.
    """
    every = json.loads(DESIGNS.read_text())
    known = every[every[name].get("like", name)]
    spec = (
        network({"name": name} | known["network"], name)
        if "network" in known
        else PRESETS[known.get("preset", name)]
    )
    if known.get("compact"):
        return Config(spec, (1,) * len(spec.layers), compact=True)
    return configuration(spec, known.get("engines", "event"))


def samples() -> Iterator[Sample]:
    """Yield the units of samples.csv."""
    known: dict[str, dict[str, Unit]] = {}
    with SAMPLES.open() as file:
        for row in csv.DictReader(file):
            design = row["design"]
            if design not in known:
                known[design] = {unit.name: unit for unit in units(config_of(design), 32)}
            numbers = (int(row[name]) for name in COUNTS)
            yield Sample(design, known[design][row["unit"]], *numbers)


def nonnegative(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return x >= 0 that minimises |matrix x - values|^2, by Lawson and Hanson's active set method."""
    free = np.zeros(matrix.shape[1], bool)
    x = np.zeros(matrix.shape[1])
    while True:
        slope = np.where(free, -np.inf, matrix.T @ (values - matrix @ x))
        if free.all() or slope.max() <= 1e-9 * np.abs(values).max():
            return x
        free[np.argmax(slope)] = True
        while True:
            best = np.zeros_like(x)
            best[free] = np.linalg.lstsq(matrix[:, free], values, rcond=None)[0]
            below = free & (best <= 0)
            if not below.any():
                break
            # move towards `best` until the first entry reaches zero; that entry is fixed at zero
            x += np.min(x[below] / (x[below] - best[below])) * (best - x)
            free &= x > 1e-12
            x[~free] = 0.0
        x = best


def fit(names: tuple[str, ...], rows: list[tuple[dict[str, float], float, float]]) -> dict[str, float]:
    """Fit coefficients >= 0 by feature.

    rows: features, the count to be explained, and the unit's whole count. Errors are divided by
    sqrt(max(whole, 50)).
    """
    matrix = np.array([[features[name] for name in names] for features, _, _ in rows], float)
    values = np.array([value for _, value, _ in rows])
    weight = 1 / np.sqrt(np.array([max(whole, 50.0) for _, _, whole in rows]))
    scale = np.maximum(matrix.max(0), 1e-9)
    # slight regularisation, since some features are proportional in all rows
    matrix = np.concatenate([matrix / scale * weight[:, None], 1e-3 * np.eye(len(names))])
    found = nonnegative(matrix, np.concatenate([values * weight, np.zeros(len(names))])) / scale
    return {name: float(f"{x:.5g}") for name, x in zip(names, found, strict=True)}


def of_kinds(known: Iterable[Sample]) -> cells.Coefficients:
    """Fit the coefficients of the kinds of units that were synthesised alone."""
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in known:
        kinds[sample.unit.kind].append(sample)
    out = {}
    for kind in kinds:
        rows: tuple[list, list] = [], []
        for sample in kinds[kind]:
            features = cells.all_features(sample.unit.features, sample.unit.memory)
            parts = cells.counted(sample.unit.features, sample.unit.memory)
            for into, whole, part in zip(rows, (sample.cells, sample.registers), parts, strict=True):
                into.append((features, whole - part, whole))
        of_cells, of_registers = cells.MODEL[kind]
        out[kind] = fit(of_cells, rows[0]), fit(of_registers, rows[1])
    return cells.Coefficients(out)


class Whole(NamedTuple):
    """A design that was synthesised as a whole."""

    name: str
    units: list[Unit]
    #: Counts by their names in `COUNTS`.
    counts: dict[str, int]
    #: Held out: no coefficient is fitted to it.
    held: bool
    #: Whether it has a memory for stored samples.
    stores: bool


def wholes() -> list[Whole]:
    """Return the designs in designs.json that were synthesised whole."""
    out = []
    for name, known in json.loads(DESIGNS.read_text()).items():
        if "whole" in known:
            stores = known.get("stores", False)
            made = units(config_of(name), board(known["board"]).window, stores)
            out.append(Whole(name, made, known["whole"], known.get("held", False), stores))
    return out


def fitted(without: str = "") -> cells.Coefficients:
    """Fit all coefficients: of units, of the factors `within`, and of shell, store and compact core.

    without: name of a design that is left out.
    """
    by = of_kinds(sample for sample in samples() if sample.design != without)
    counts = {whole.name: whole.counts for whole in wholes()}
    known = [whole for whole in wholes() if not (whole.held or whole.stores or whole.name == without)]
    compact = next(
        (whole.counts for whole in known if whole.units[0].kind == "compact"), dict.fromkeys(COUNTS, 0)
    )
    within, around = [], []
    for n, count in enumerate(COUNTS[:2]):
        rows = []
        for whole in known:
            if whole.units[0].kind != "compact":
                *inner, _ = whole.units
                # the shell's coefficient includes the distributed RAM of its small queues
                alone = sum(cells.alone(unit.kind, unit.features, unit.memory, by)[n] for unit in inner)
                rows.append(
                    ({"units": alone, "unit": 1.0}, float(whole.counts[count]), float(whole.counts[count]))
                )
        found = fit(("units", "unit"), rows)
        within.append(found["units"])
        around.append({"unit": found["unit"]})
    # the store is the difference of two designs; its coefficients include distributed RAM of its small queues
    images = next(
        unit for whole in wholes() if whole.name == STORE[0] for unit in whole.units if unit.kind == "store"
    )
    parts = cells.counted(images.features, images.memory)
    of_store = tuple(
        {"unit": float(counts[STORE[0]][count] - counts[STORE[1]][count] - part)}
        for count, part in zip(COUNTS[:2], parts, strict=True)
    )
    of_compact = tuple({"unit": float(compact[count])} for count in COUNTS[:2])
    kinds = dict(by.kinds) | {"shell": (around[0], around[1]), "compact": (of_compact[0], of_compact[1])}
    kinds["store"] = of_store[0], of_store[1]
    return cells.Coefficients(kinds, (within[0], within[1]))


def foretold() -> list[tuple[str, list[int], list[int]]]:
    """Return name, estimated counts and synthesised counts of each design, by coefficients that weren't
    fitted to it.

    For a design that is held out these are the committed ones, else those of a fit without it.
    """
    out = []
    for whole in wholes():
        if whole.units[0].kind == "compact" or whole.name == STORE[0]:
            continue
        by = None if whole.held else fitted(without=whole.name)
        both = [cells.estimate(unit.kind, unit.features, unit.memory, by) for unit in whole.units]
        made = [round(sum(column)) for column in zip(*both, strict=True)]
        made += [
            sum(unit.memory.blocks for unit in whole.units),
            sum(unit.multipliers for unit in whole.units),
        ]
        out.append(
            (whole.name + ("" if whole.held else ", left out"), made, [whole.counts[name] for name in COUNTS])
        )
    return out


def main() -> None:
    """Write the coefficients; print their errors on units of the fit, and on designs left out."""
    by = fitted()
    both = {"cells": 0, "flip-flops": 1}
    found = {
        "command": "python -m nudge.boards.estimate.fit",
        "within": {name: by.within[n] for name, n in both.items()},
        "kinds": {kind: {name: each[n] for name, n in both.items()} for kind, each in by.kinds.items()},
    }
    cells.COEFFICIENTS.write_text(json.dumps(found, indent=1) + "\n")
    cells.committed.cache_clear()
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample in samples():
        alone = cells.alone(sample.unit.kind, sample.unit.features, sample.unit.memory)
        errors[sample.unit.kind].append((alone[0] / sample.cells - 1, alone[1] / sample.registers - 1))
    for kind, each in errors.items():
        of_cells, of_registers = (
            100 * float(np.sqrt(np.mean(np.square(column)))) for column in zip(*each, strict=True)
        )
        print(
            f"{kind}: {len(each)} units, root mean square of the errors {of_cells:.1f} % of cells, "
            f"{of_registers:.1f} % of FF"
        )
    for name, made, real in foretold():
        words = (f"{a:,} for {b:,} ({100 * (a / b - 1):+.1f} %)" for a, b in zip(made, real, strict=True))
        print(f"{name}: {', '.join(words)}")


if __name__ == "__main__":
    main()
