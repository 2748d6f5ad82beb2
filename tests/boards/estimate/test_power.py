"""Arithmetic of the energy estimate: ranges, capacitance, parts, sum, and a published measurement."""

import dataclasses

import pytest

from nudge.boards.catalog import board
from nudge.boards.estimate.power import (
    ASSUMED,
    CORE_VOLTS,
    GLITCHES,
    INSIDE,
    PORTS,
    TREE,
    Estimate,
    Range,
    Wired,
    counters,
    rates,
    wired,
)
from nudge.boards.toolchain.wires import KINDS, nets, pins, routed
from nudge.plumbing.errors import DesignError

#: 10 wires of LUTs and 30 of flip-flops, on average over 3 tiles, 2 segments and 2 inputs.
FEW = Wired(
    part="LFE5U-85F",
    build="none",
    nets={"LUT4": 10, "TRELLIS_FF": 30, "MULT18X18D_inputs": 36},
    segments={"H02": 40, "V01": 40},
    inputs=80,
    flip_flops=30,
    memories=2,
)
CYCLES = {"training": 1000.0, "inference": 400.0}
SILENT = dict.fromkeys(KINDS, 0.0)


def test_ranges_add_and_multiply():
    assert Range(1, 2).plus(Range(10, 20)) == (11, 22)
    assert Range(1, 2).times(3.0) == (3, 6)
    assert Range(1, 2).times(Range(10, 20)) == (10, 40)


def test_a_wires_capacitance():
    low, high = 3 * 11.25e-15 + 2 * 4.8e-15 + 2 * 1.5e-15, 3 * 22.5e-15 + 2 * 12.5e-15 + 2 * 4.5e-15
    assert FEW.capacitance == pytest.approx((low, high))


def test_what_rests_has_clocks_memories_and_leakage_alone():
    found = Estimate.of(FEW, SILENT, 50e6, CYCLES)
    assert found.parts["wires and LUTs"].low == found.parts["multipliers"].low == 0
    assert found.parts["at rest"] == pytest.approx((0.212 * 1.1 + 0.026 * 2.5, 2 * 0.212 * 1.1 + 0.026 * 2.5))
    assert found.parts["clock"] == pytest.approx(
        TREE.plus(Range(2e-15, 8e-15).times(30 * CORE_VOLTS**2)).times(50e6)
    )
    assert found.parts["block RAM"] == pytest.approx(
        Range(5.6e-12, 18e-12 * (1.1 / 0.9) ** 2).times(PORTS).times(2 * 50e6)
    )


def test_changes_cost_half_of_a_charge():
    busy = SILENT | {"LUT4": 0.5, "TRELLIS_FF": 0.1}
    found, wire = Estimate.of(FEW, busy, 50e6, CYCLES).parts["wires and LUTs"], FEW.capacitance
    # the upper bound of the flip-flops' rate is ASSUMED
    logic, registers = (
        wire.plus(INSIDE).times(GLITCHES).times(10 * 0.5),
        wire.times(Range(30 * 0.1, 30 * ASSUMED)),
    )
    assert found == pytest.approx(logic.plus(registers).times(CORE_VOLTS**2 / 2 * 50e6))
    assert Estimate.of(FEW, SILENT | {"MULT18X18D_inputs": 1.0}, 1.0, CYCLES).parts[
        "multipliers"
    ] == pytest.approx((36 * 1.09e-12, 36 * 5.9e-12))


def test_energy_is_power_times_the_time_of_an_image():
    found = Estimate.of(FEW, SILENT | {"LUT4": 1.0}, 50e6, CYCLES)
    assert found.training == pytest.approx(found.total.times(20e-6))
    assert found.inference == pytest.approx(found.total.times(8e-6))


def test_a_published_measurement_is_within():
    low, high = counters(cells=228 - 32, bits=28, clock_hz=12e6, volts=1.219)
    assert low < (641.3e-6 - 613.5e-6) * 1.219 < high


@pytest.mark.parametrize("preset", ["small", "medium"])
def test_committed_designs_have_ordered_ranges(preset):
    design = wired("ulx3s", preset)
    assert design.part == board("ulx3s").platform().device
    found = Estimate.of(design, rates(), 50e6, CYCLES)
    assert all(0 < low < high for low, high in found.parts.values())
    assert 0 < found.training.low < found.training.high
    assert 0 < found.inference.low < found.inference.high < found.training.high


def test_what_was_never_counted_is_refused():
    with pytest.raises(DesignError, match="wires of ulx3s tiny were never counted: only of ulx3s small"):
        wired("ulx3s", "tiny")
    with pytest.raises(DesignError, match="no standby current for a LFE5U-12F"):
        Estimate.of(dataclasses.replace(FEW, part="LFE5U-12F"), SILENT, 50e6, CYCLES)


def test_wires_of_a_netlist():
    def cell(kind, **bits):
        return {
            "type": kind,
            "connections": {name.lstrip("_"): [bit] for name, bit in bits.items()},
            "port_directions": {
                name.lstrip("_"): "output" if name.startswith("_") else "input" for name in bits
            },
        }

    cells = {
        "lut": cell("LUT4", A=2, B="1", _Z=3),
        "unread": cell("LUT4", A=3, _Z=4),
        "carry": cell("CCU2C", A0=3, _S0=5, _COUT=6),
        "next": cell("CCU2C", CIN=6, A0=5, _S0=7),
        "product": cell("MULT18X18D", A0=7, A1=7, A2="0", _P0=8),
    }
    module = {"ports": {"out": {"direction": "output", "bits": [8]}}, "cells": cells}
    assert nets(module) == {"LUT4": {3}, "CCU2C": {5, 7}, "MULT18X18D": {8}, "MULT18X18D_inputs": {7}}
    assert pins(module, "MULT18X18D") == 2


def test_wires_of_a_route():
    lines = [
        "E1_H01E0101 JF1",
        "E3_H06E0003 N1_V01S0000",
        "A1 H02W0501",
        "H02W0501 F3",
        "JCLK0 G_HPBX0000",
        "V00T0100 F2",
    ]
    config = ".tile R1C1:PLC2\n" + "".join(f"arc: {line}\n" for line in lines) + "word: SLICEA.K0.INIT 0\n"
    segments, inputs = routed(config)
    assert segments == {"H00": 0, "V00": 1, "H01": 1, "V01": 0, "H02": 1, "V02": 0, "H06": 1, "V06": 0}
    assert inputs == 1
