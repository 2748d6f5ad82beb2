"""Cells to which nextpnr gives no delay are on a Gowin design's slowest path; output enables follow ports."""

import re

import pytest

from nudge.boards.toolchain import delays, enables, route
from nudge.plumbing.errors import ToolError


def cell(kind, name, arcs=(), setups=()):
    """Return a cell of an SDF file, as nextpnr writes it."""
    lines = [f'    (CELLTYPE "{kind}")', f"    (INSTANCE {name})"]
    lines += [f"        (IOPATH {start} {end} (1:2:{ps}) (1:2:{ps}))" for start, end, ps in arcs]
    checks = [(edge, port, ps) for edge in ("posedge", "negedge") for port, ps in setups]
    lines += [
        f"      (SETUPHOLD ({edge} {port}) (posedge CLK) (1:2:{ps}) (9:9:9))" for edge, port, ps in checks
    ]
    return "\n".join(lines)


def wires(*each):
    return "\n".join(
        f"        (INTERCONNECT {start} {end} ({ps}:{ps}:{ps}) ({ps}:{ps}:{ps}))" for start, end, ps in each
    )


REGISTERS = [cell("DFFRE", name, [("CLK", "Q", 200)], [("D", 30), ("CE", 40)]) for name in ("a", "b")]
#: A path from a to b through a LUT and an adder that have delays.
KNOWN = [
    cell("top", ""),
    wires(("a/Q", "lut/I0", 100), ("lut/F", "sum/I1", 10), ("sum/SUM", "b/D", 0)),
    wires(("GND/G", "lut/I1", 9000), ("GND/G", "b/CE", 9000)),
    *REGISTERS,
    cell("LUT4", "lut", [("I0", "F", 500), ("I1", "F", 450)]),
    cell("ALU", "sum", [("I1", "SUM", 60)]),
    cell("GOWIN_GND", "GND"),
]


def slowest(*texts):
    return delays.slowest("\n".join(texts).splitlines())


def test_a_path_of_known_delays_is_their_sum_and_constants_are_on_none():
    assert slowest(*KNOWN) == delays.Slowest(200 + 100 + 500 + 10 + 60 + 30, "a", "b")


@pytest.mark.parametrize(
    ("kind", "start", "end", "delay"),
    [("LUT3", "I2", "F", 500), ("LUT4", "I3", "F", 500), ("MULT18X18", "A3", "DOUT9", delays.MULTIPLIER_PS)],
)
def test_a_cell_without_delays_has_the_largest_of_its_kind(kind, start, end, delay):
    """nextpnr gives none to a LUT of three inputs, to one that it adds, and to a multiplier."""
    path = wires(("b/Q", f"new\\$/{start}", 300), (f"new\\$/{end}", "a/CE", 700))
    assert slowest(*KNOWN, path, cell(kind, "new\\$")) == delays.Slowest(
        200 + 300 + delay + 700 + 40, "b", "a"
    )


def test_a_memory_without_some_delays_has_those_of_its_kind():
    """nextpnr has setup times for only one of the two ports of a memory."""
    first = cell("DP", "first", [("CLKA", "DOA0", 2200)], [("ADA0", 70)])
    inward = wires(("a/Q", "second/ADB0", 900))
    assert slowest(*REGISTERS, inward, first, cell("SDP", "second")) == delays.Slowest(
        200 + 900 + 70, "a", "second"
    )
    outward = wires(("second/DOB0", "b/D", 1000))
    assert slowest(*REGISTERS, outward, first, cell("SDP", "second")) == delays.Slowest(
        2200 + 1000 + 30, "second", "b"
    )


def test_a_file_that_can_not_be_analysed_is_said():
    loop = wires(("lut/F", "new/I0", 1), ("new/F", "lut/I3", 1))
    with pytest.raises(ToolError, match=r"a loop of logic at (lut|new)/"):
        slowest(*KNOWN, loop, cell("LUT2", "new"))
    with pytest.raises(ToolError, match="an unknown kind: EMCU"):
        slowest(*KNOWN, cell("EMCU", "new"))
    with pytest.raises(ToolError, match="no path between two registers"):
        slowest(*REGISTERS)
    with pytest.raises(ToolError, match=re.escape("nextpnr's delays have no cell 'a'")):
        slowest(wires(("a/Q", "b/D", 1)))


def test_the_slower_of_both_analyses_counts(tmp_path):
    file = tmp_path / "top.sdf"
    hz = 1e12 / 900
    for clock_hz, met in ((1_100_000_000, True), (1_200_000_000, False)):
        file.write_text("\n".join(KNOWN))
        found = route.completed(route.Route(1, 2e9, True, 9.0, "x to y", {}), file, clock_hz)
        assert found == route.Route(1, hz, met, 9.0, "a to b", {})
        assert not file.exists()
    file.write_text("\n".join(KNOWN))
    known = route.Route(1, 130e6, True, 9.0, "x to y", {})
    assert route.completed(known, file, 36_000_000) is known


def test_output_enables_follow_their_ports():
    def memory(kind, **connections):
        return {"type": kind, "connections": connections}

    cells = {
        "semi": memory("SDPX9B", CEA=[2], CEB=[3], OCE=["1"]),
        "dual": memory("DPB", CEA=[4], CEB=["1"], OCEA=["1"], OCEB=["1"]),
        "other": memory("DFFE", CE=[5]),
    }
    enables.follow({"cells": cells})
    assert cells["semi"]["connections"] == {"CEA": [2], "CEB": [3], "OCE": [3]}
    assert cells["dual"]["connections"] == {"CEA": [4], "CEB": ["1"], "OCEA": [4], "OCEB": ["1"]}
    assert cells["other"]["connections"] == {"CE": [5]}
