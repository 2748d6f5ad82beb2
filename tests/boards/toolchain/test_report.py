"""Reports from nextpnr's JSON, rates from cycles, and the comparison with the committed report."""

import json

import pytest

from nudge.boards.catalog import board
from nudge.boards.toolchain import report as reports
from nudge.boards.toolchain.route import read_route
from nudge.boards.toolchain.tools import numbers
from nudge.plumbing.errors import ToolError

#: An excerpt in the form of nextpnr's report.
NEXTPNR = {
    "fmax": {
        "$glbnet$clk25": {"achieved": 200.0, "constraint": 25.0},
        "$glbnet$core_clock": {"achieved": 61.5, "constraint": 50.0},
    },
    "critical_paths": [
        {
            "from": "posedge $glbnet$core_clock",
            "to": "posedge $glbnet$core_clock",
            "path": [
                {"from": {"cell": "a"}, "to": {"cell": "b"}},
                {"from": {"cell": "b"}, "to": {"cell": "c"}},
            ],
        }
    ],
    "utilization": {
        "TRELLIS_COMB": {"used": 21_000, "available": 84_000},
        "DP16KD": {"used": 0, "available": 208},
    },
}
CYCLES = {"training": 10_000.0, "inference": 4_000.0}


def built(*fmax_mhz: float, unrouted: tuple[int, ...] = ()) -> dict:
    """Return the values of a build with seeds 1, 2, ... of these fmax."""
    routes = []
    for seed, mhz in enumerate(fmax_mhz, start=1):
        nextpnr = json.loads(json.dumps(NEXTPNR))
        nextpnr["fmax"]["$glbnet$core_clock"]["achieved"] = mhz
        routes.append(vars(read_route(nextpnr, seed, 50_000_000, 1.0)))
    facts = {
        "board": "ulx3s",
        "what": "ULX3S",
        "preset": "small",
        "clock_hz": 50_000_000,
        "baud": 3e6,
        "design": "lanes (1,)",
    }
    return facts | {
        "lanes": (1,),
        "spec": 1,
        "tools": {"yosys": "yosys 0.70"},
        "routes": routes,
        "unrouted": unrouted,
    }


def test_route_of_a_report():
    route = read_route(NEXTPNR, 3, 50_000_000, 9.0)
    assert (route.fmax_hz, route.met, route.seed, route.critical) == (61.5e6, True, 3, "a to c")
    assert route.utilization == {"TRELLIS_COMB": {"used": 21_000, "available": 84_000}}
    with pytest.raises(ToolError, match="no clock of 80 MHz"):
        read_route(NEXTPNR, 3, 80_000_000, 9.0)


def test_median_and_rates():
    found = reports.summary(built(60.0, 48.0, 64.0), CYCLES)
    assert found["fmax_hz_median"] == 60e6
    assert found["seeds"] == [1, 2, 3]
    assert not found["timing_met"], "seed 2 missed 50 MHz"
    assert found["training_samples_per_second"] == 5000
    assert found["training_samples_per_second_at_fmax"] == 6000
    assert found["utilization"]["LUT4"]["percent"] == 25.0
    assert reports.summary(built(60.0), None)["training_samples_per_second"] is None


def test_regressions():
    baseline = reports.summary(built(60.0), CYCLES)
    assert not reports.regressions(baseline, baseline)
    slower = reports.summary(built(55.0), CYCLES | {"training": 10_200.0})
    slower["utilization"]["LUT4"]["used"] = 22_000
    area, fmax, cycles = reports.regressions(slower, baseline)
    assert area == "LUT4: 22000, baseline 21000, at most 3% more"
    assert fmax == "median fmax: 55.00 MHz, baseline 60.00 MHz, at most 8% less"
    assert cycles == "training cycles: 10200, baseline 10000, at most 1% more"
    assert not reports.regressions(baseline, slower), "better is fine"
    stuck = reports.summary(built(60.0, unrouted=(2,)), CYCLES)
    assert (stuck["seeds"], stuck["unrouted"], stuck["timing_met"]) == ([1], [2], True)
    assert reports.regressions(stuck, baseline) == ["not routed: seeds [2], baseline []"]
    assert not reports.regressions(baseline, stuck)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": 1}, "of an earlier network"),
        ({"design": "lanes (1, 1, 1, 1, 1)"}, "with other lanes"),
        ({"clock_hz": 25_000_000}, "at another clock"),
        ({"sdram": False}, "without the board's SDRAM"),
    ],
)
def test_a_report_of_another_design_says_so(change, words):
    fpga = board("ulx3s")
    report = json.loads(reports.baseline_file("ulx3s", "small", "yowasp").read_text())
    assert reports.outdated(fpga, "small", report | change) == [words]


def test_version_numbers():
    assert numbers("yosys 0.70 (yowasp 0.70.0.0.post1259)") == 70
    assert numbers("nextpnr-ecp5 1.2-3 (native)") == 1 << 16 | 2
    assert numbers("icepack unknown (native)") == 0


@pytest.mark.parametrize("file", sorted(reports.BASELINES.glob("*-*-*.json")), ids=lambda file: file.stem)
def test_committed_report(file):
    """A committed report is for a known board and preset, and for the present design, and meets timing."""
    report = json.loads(file.read_text())
    fpga = board(report["board"])
    assert file.stem.rsplit("-", 1)[0] == f"{fpga.name}-{report['preset']}"
    assert not reports.outdated(fpga, report["preset"], report)
    assert report["timing_met"]
    assert all(hz >= report["clock_hz"] for hz in report["fmax_hz"].values())
    for count in report["utilization"].values():
        assert 0 < count["used"] <= count["available"]
