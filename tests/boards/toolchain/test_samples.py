"""Counts of netlists, which the area model is fitted to."""

import csv

import pytest

from nudge.boards.estimate.fit import COUNTS, SAMPLES, config_of
from nudge.boards.toolchain.samples import count, synthesised_unit


def cell(kind, inputs, outputs):
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {"type": kind, "port_directions": directions, "connections": {**inputs, **outputs}}


def netlist(*cells):
    return {
        "modules": {
            "top": {"attributes": {"top": "1"}, "cells": {str(n): one for n, one in enumerate(cells)}}
        }
    }


def test_every_kind_of_cell():
    found = count(
        netlist(
            cell("LUT4", {"A": [2]}, {"Z": [3]}),
            cell("TRELLIS_FF", {"DI": [3]}, {"Q": [4]}),
            cell("TRELLIS_DPR16X4", {"DI": [4]}, {"DO": [5]}),
            cell("DP16KD", {"DIA0": [5]}, {"DOA0": [6]}),
            cell("MULT18X18D", {"A0": [6]}, {"P0": [7]}),
        )
    )
    assert found == dict(zip(COUNTS, (1 + 6, 1, 1, 1), strict=True))


def test_a_chain_has_a_pair_of_cells_at_either_end_and_at_a_carry_that_is_read():
    chain = [cell("CCU2C", {"CIN": ["0"]}, {"COUT": [10]}), cell("CCU2C", {"CIN": [10]}, {"COUT": [11]})]
    assert count(netlist(*chain))["cells"] == 2 * 2 + 2 * 2
    assert count(netlist(*chain, cell("LUT4", {"A": [11]}, {"Z": [3]})))["cells"] == 2 * 2 + 2 * 2 + 1
    assert count(netlist(*chain, cell("LUT4", {"A": [10]}, {"Z": [3]})))["cells"] == 2 * 2 + 3 * 2 + 1


@pytest.mark.slow
def test_a_unit_is_as_committed(tmp_path):
    with SAMPLES.open() as file:
        committed = {(row["design"], row["unit"]): row for row in csv.DictReader(file)}
    row = committed["f01", "weights_1"]
    found = synthesised_unit(config_of("f01"), "weights_1", tmp_path)
    assert found == {name: int(row[name]) for name in COUNTS}
