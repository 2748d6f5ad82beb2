"""A build keeps the results of its routed seeds, and adds spacers and settings to its netlist."""

import copy
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from nudge.boards.catalog import board
from nudge.boards.toolchain import build as builds
from nudge.boards.toolchain import router, spacers
from nudge.boards.toolchain.netlist import build_id
from nudge.boards.toolchain.route import Route, read_route
from nudge.golden.contract.protocol import BuildFacts
from nudge.plumbing.errors import TimingError, ToolError


def test_a_further_seed_that_is_not_routed_is_reported(monkeypatch, tmp_path):
    """A further seed that can't be routed is only reported; if the first one can't be, that is an error."""

    def route(command, folder, number, kind, clock_hz, added, progress):
        if number == 2:
            raise TimingError("nextpnr failed: ERROR: no way")
        return Route(number, 13e6, True, 1.0, "", {})

    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    monkeypatch.setattr(builds, "synthesise", lambda *arguments: ([[], [], []], 0))
    monkeypatch.setattr(builds, "place_and_route", route)
    monkeypatch.setattr(builds, "pack", lambda *arguments: None)
    lines: list[str] = []
    made = builds.build_bitstream(board("icebreaker"), "tiny", seeds=3, progress=lines.append)
    assert ([r.seed for r in made.routes], made.unrouted) == ([1, 3], (2,))
    assert lines[-1] == "seed 2: nextpnr failed: ERROR: no way"
    with pytest.raises(TimingError, match="no way"):
        builds.build_bitstream(board("icebreaker"), "tiny", seed=2, seeds=2)


def module() -> dict:
    """Return the top module in Yosys' JSON: five flip-flops, one in an I/O cell, and a LUT."""
    flip_flop = {"type": "TRELLIS_FF", "attributes": {}}
    cells = {f"ff{n}": flip_flop | {"connections": {"DI": [n], "Q": [n + 1]}} for n in range(2, 7)}
    cells["pin"] = flip_flop | {"attributes": {"syn_useioff": "1"}, "connections": {"DI": [7], "Q": [10]}}
    cells["lut"] = {"type": "LUT4", "connections": {"A": [2], "Z": [9]}}
    return {"attributes": {}, "cells": cells}


@pytest.mark.parametrize(
    ("share", "beside"),
    [
        (Fraction(1), [3, 4, 5, 6, 7]),
        (Fraction(1, 2), [3, 5, 7]),
        (Fraction(3, 4), [3, 5, 6, 7]),
        (Fraction(1, 9), [3]),
    ],
)
def test_spacers_drive_nothing_and_change_nothing(share, beside):
    before = module()
    after = copy.deepcopy(before)
    assert spacers.add(after, share) == len(beside)
    cells = after["cells"]
    added = [cells.pop(name) for name in list(cells) if name.startswith("spacer")]
    assert after == before
    assert [cell["connections"]["A"] for cell in added] == [[wire] for wire in beside]
    assert all(cell["connections"][port] == [] for cell in added for port in "BCDZ")
    for wrong in (Fraction(0), Fraction(9, 8)):
        with pytest.raises(ValueError, match=f"the share must be above 0 and at most 1, not {wrong}"):
            spacers.add(after, wrong)


def test_a_build_has_the_spacers_and_router_settings_that_its_design_asks_for(monkeypatch, tmp_path):
    ulx3s, facts = board("ulx3s"), BuildFacts(0, 1, 0, 0)
    changed: tuple[dict[str, Any], ...] = (
        {},
        {"spacers": Fraction(1, 2)},
        {"slow": True},
        {"spacers": Fraction(1, 2), "slow": True},
    )
    boards = [replace(ulx3s, designs={"tiny": replace(ulx3s.design("tiny"), **values)}) for values in changed]
    assert len({build_id(made, "tiny", facts, {}) for made in boards}) == len(boards)

    def yosys(words, kind, folder, log, seconds=0.0):
        (folder / "top.json").write_text(json.dumps({"modules": {"top": module()}}))

    monkeypatch.setattr(builds.tools, "run", yosys)
    lines: list[str] = []
    for _ in range(2):  # the second call reuses the netlist
        commands, added = builds.synthesise(boards[-1], "tiny", facts, tmp_path, "yowasp", lines.append)
        assert (commands[0][0], added) == ("yosys", 3)
        written = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]
        assert sum(name.startswith("spacer") for name in written["cells"]) == 3
        assert written["settings"] == router.SLOW
    assert lines[1].endswith(", 3 spacers")
    assert "kept netlist" in lines[2]


def test_spacers_are_no_area():
    clock = {"achieved": 60.0, "constraint": 50.0}
    nextpnr = {
        "fmax": {"clk": clock},
        "critical_paths": [],
        "utilization": {"TRELLIS_COMB": {"used": 30, "available": 90}},
    }
    route = read_route(nextpnr, 1, 50_000_000, 1.0, 12)
    assert route.utilization == {"TRELLIS_COMB": {"used": 18, "available": 90}}


def test_a_family_without_an_unpacker_is_not_verified():
    with pytest.raises(
        ToolError, match="can't be built with --verify: no tool here reads a GOWIN bitstream back"
    ):
        builds.build_bitstream(board("tang-nano-20k"), "tiny", verify=True)
