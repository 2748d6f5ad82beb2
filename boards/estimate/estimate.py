"""Estimate of area, cycles and rate of a network on a board, without synthesis or simulation."""

from dataclasses import dataclass
from typing import Any

from nudge.boards.fpga import Fpga
from nudge.hw.compact.compact_core import check_compact

from .activity import Activity, Cycles
from .cycles import estimate as cycles_of
from .lanes import as_table, lanes_of
from .part import BLOCKS, CELLS, MULTIPLIERS, REGISTERS, Part, part_of
from .units import Unit, units


@dataclass(frozen=True)
class Estimate:
    """Resources that a design takes of a part, and the rate of its core."""

    part: Part
    units: list[Unit]
    cycles: Cycles
    clock_hz: int
    #: Lanes of the design, with the keys of a network file's table `[lanes.NAME]`.
    lanes: dict[str, Any]

    @property
    def used(self) -> dict[str, int]:
        """Number of each resource that the design takes, by name; only resources that the part has."""
        every = {
            CELLS: round(sum(unit.cells for unit in self.units)),
            REGISTERS: round(sum(unit.registers for unit in self.units)),
            BLOCKS: sum(unit.memory.blocks for unit in self.units),
            MULTIPLIERS: sum(unit.multipliers for unit in self.units),
        }
        return {name: every[name] for name in self.part.available}

    @property
    def lacking(self) -> list[str]:
        """Resources that the part lacks, such as "cells: 30,000 of 24,288"; empty if the design fits."""
        has = self.part.available
        return [f"{name}: {used:,} of {has[name]:,}" for name, used in self.used.items() if used > has[name]]

    @property
    def training_samples_per_second(self) -> float:
        return self.clock_hz / self.cycles.training

    @property
    def inference_samples_per_second(self) -> float:
        return self.clock_hz / self.cycles.inference


def estimate(fpga: Fpga, preset: str, activity: Activity, arrival: float) -> Estimate:
    """Estimate a board's design for a preset. arrival: cycles from one image to the next, as limited by the
    link.

    Raises `DesignError` for a part or a kind of unit that can't be estimated, `ConfigError` for a network
    that the compact core can't hold.
    """
    design = fpga.design(preset)
    spec = design.config.spec
    if design.config.compact:
        check_compact(design.config)
    return Estimate(
        part_of(fpga.platform().device),
        units(design.config, fpga.window, fpga.stores(spec)),
        cycles_of(design.config, activity, spec.learning.batch, arrival),
        design.clock_hz,
        as_table(lanes_of(design.config)),
    )


def values(made: Estimate) -> dict[str, Any]:
    """Return an estimate as plain data, for JSON."""
    has, used = made.part.available, made.used
    return {
        "part": made.part.name,
        "lanes": made.lanes,
        "clock_hz": made.clock_hz,
        "used": {name: {"used": used[name], "available": has[name]} for name in used},
        "fits": not made.lacking,
        "routable": not made.lacking and made.part.likely(used[CELLS], used.get(REGISTERS, 0)),
        "lacking": made.lacking,
        "cycles": {"training": made.cycles.training, "inference": made.cycles.inference},
        "limit": made.cycles.limit,
        "training_samples_per_second": made.training_samples_per_second,
        "inference_samples_per_second": made.inference_samples_per_second,
    }
