"""Files in a build's folder are reused only if they are unchanged since a stage finished."""

import json
import os
import sys

import pytest

from nudge.boards import catalog
from nudge.boards.family import Family
from nudge.boards.toolchain import build, report, route, stamp, tools
from nudge.plumbing import files
from nudge.plumbing.errors import DesignError, TimingError, ToolError

FMAX = {"fmax": {"clk": {"achieved": 20.0, "constraint": 12.0}}, "critical_paths": [], "utilization": {}}
SLOW = {**FMAX, "fmax": {"clk": {"achieved": 10.0, "constraint": 12.0}}}

NEXTPNR = """
import pathlib, sys
pathlib.Path("report.json").write_text(sys.argv[1])
pathlib.Path("top.asc").write_text("routed")
pathlib.Path("top.tim").write_text("")
print("ERROR: of its own" if {status} else "fine")
sys.exit({status})
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "top.json").write_text("{}")
    (tmp_path / "top.pcf").write_text("set_io clk 1")
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """Replace the tools by Python programs: `become` sets them, `taken` returns the new calls."""
    called: list[str] = []
    programs: dict[str, str] = {}

    def command(tool, kind):
        called.append(tool)
        return [sys.executable, "-c", programs[tool]]

    monkeypatch.setattr(tools, "command", command)

    class Calls(list):
        def become(self, **sources):
            programs.update({name.replace("_", "-"): source for name, source in sources.items()})

        def taken(self):
            taken, called[:] = list(called), []
            return taken

    return Calls()


def routed(folder, report_text, lines=None):
    command = ["nextpnr-ice40", report_text, "--seed", "0"]
    progress = (lambda line: None) if lines is None else lines.append
    return route.place_and_route(command, folder, 3, "yowasp", 12_000_000, 0, progress)


def test_a_route_is_kept_as_long_as_nothing_is_changed(folder, calls):
    calls.become(nextpnr_ice40=NEXTPNR.format(status=0))
    found = routed(folder, json.dumps(FMAX))
    lines: list[str] = []
    assert found.met
    assert routed(folder, json.dumps(FMAX), lines) == found
    assert (calls.taken(), lines) == (["nextpnr-ice40"], [])
    for name, content in (
        ("seed3/top.asc", "route"),
        ("seed3/top.asc", ""),
        ("seed3/route.json", "{"),
        ("seed3/route.json", '{"inputs": {}}'),
        ("top.pcf", "set_io clk 2"),
        ("top.json", '{"cut":'),
    ):
        (folder / name).write_text(content)
        assert routed(folder, json.dumps(FMAX), lines).met
        assert calls.taken() == ["nextpnr-ice40"], name
        assert (folder / "seed3" / "top.asc").read_text() == "routed"
        assert "isn't as it was made: it is made again" in lines[-3]
    (folder / "seed3" / "report.json").unlink()
    routed(folder, json.dumps(FMAX))
    assert calls.taken() == ["nextpnr-ice40"]


@pytest.mark.parametrize(("ends", "why"), [("sys.exit(1)", "no room"), ("os.abort()", "ended by SIGABRT")])
def test_a_failure_beside_an_earlier_report_is_a_failure(folder, calls, ends, why):
    place = folder / "seed3"
    place.mkdir()
    (place / "report.json").write_text(json.dumps(FMAX))
    (place / "top.asc").write_text("routed")
    calls.become(nextpnr_ice40=f"import os, sys; print('no room', flush=True); {ends}")
    with pytest.raises(ToolError, match=f"nextpnr failed: {why}; see"):
        routed(folder, json.dumps(FMAX))
    assert not (place / "route.json").exists()


def test_the_one_failure_that_leaves_a_design_is_missed_timing(folder, calls):
    calls.become(nextpnr_ice40=NEXTPNR.format(status=1))
    assert not routed(folder, json.dumps(SLOW)).met
    with pytest.raises(ToolError, match="nextpnr failed: ERROR: of its own"):
        routed(folder, json.dumps(FMAX))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fmax": []}', '{"fmax": {"clk": {}}}', "NaN"])
def test_a_damaged_report_of_nextpnr(folder, calls, text):
    calls.become(nextpnr_ice40=NEXTPNR.format(status=0))
    with pytest.raises(ToolError, match=r"report.*(damaged|has no clock)"):
        routed(folder, text)


def test_an_empty_design_is_no_design(folder, calls):
    calls.become(nextpnr_ice40=NEXTPNR.format(status=0).replace('"routed"', '""'))
    with pytest.raises(ToolError, match=r"nextpnr left .*top.asc empty"):
        routed(folder, json.dumps(FMAX))


def packed(folder):
    route.place_and_route(
        ["nextpnr-ice40", json.dumps(FMAX), "--seed", "0"], folder, 3, "yowasp", 12_000_000, 0, print
    )
    build.pack([["icepack"]], folder / "seed3", folder / "nudge.bin", "yowasp", Family.ICE40, 7, print)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_bitstream_is_packed_again_unless_it_is_whole(folder, calls, size):
    calls.become(
        nextpnr_ice40=NEXTPNR.format(status=0),
        icepack="import pathlib; pathlib.Path('top.bin').write_bytes(b'bits')",
    )
    packed(folder)
    packed(folder)
    assert calls.taken() == ["nextpnr-ice40", "icepack"]
    (folder / "nudge.bin").write_bytes(b"bits"[:size])
    packed(folder)
    assert calls.taken() == ["icepack"]
    (folder / "nudge.bin").write_bytes(b"bitt")
    (folder / "seed3" / "top.asc").write_text("rout")
    packed(folder)
    assert calls.taken() == ["nextpnr-ice40", "icepack"]
    assert (folder / "nudge.bin").read_bytes() == b"bits"
    (folder / "nudge.bin.json").unlink()
    packed(folder)
    assert calls.taken() == ["icepack"]


@pytest.mark.parametrize(
    "code", ["", "import pathlib; pathlib.Path('top.bin').touch()", "raise SystemExit(1)"]
)
def test_what_packing_did_not_make_is_not_taken_from_before(folder, calls, code):
    calls.become(
        nextpnr_ice40=NEXTPNR.format(status=0),
        icepack="import pathlib; pathlib.Path('top.bin').write_bytes(b'bits')",
    )
    packed(folder)
    (folder / "nudge.bin").write_bytes(b"")
    (folder / "seed3" / "top.bin").write_bytes(b"leftover")
    calls.become(icepack=code)
    with pytest.raises(ToolError, match="icepack failed"):
        packed(folder)
    assert not (folder / "nudge.bin").exists()


def test_stamps_of_files_that_are_gone(tmp_path):
    (tmp_path / "a").write_text("a")
    stamp.save(tmp_path / "s", {"x": (1, 2)}, [tmp_path / "a"], {"y": 3})
    assert stamp.load(tmp_path / "s", {"x": [1, 2]}) == {"y": 3}
    assert stamp.load(tmp_path / "s", {"x": [1]}) is None
    (tmp_path / "a").unlink()
    assert stamp.load(tmp_path / "s", {"x": [1, 2]}) is None
    assert stamp.load(tmp_path / "t", {}) is None


def terabyte(path):
    """Make a sparse file of 1 TiB, which would take hours to read."""
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.timeout(300)
def test_what_is_no_file_any_more_is_made_again(folder, calls):
    """A stage runs again if a pipe (which would block), a folder or a huge file replaces one of its files."""
    calls.become(
        nextpnr_ice40=NEXTPNR.format(status=0),
        icepack="import pathlib; pathlib.Path('top.bin').write_bytes(b'bits')",
    )
    packed(folder)
    for name, instead in (
        ("seed3/top.asc", os.mkfifo),
        ("seed3/route.json", os.mkfifo),
        ("seed3", os.mkfifo),
        ("nudge.bin", os.mkfifo),
        ("nudge.bin", os.mkdir),
        ("nudge.bin", terabyte),
        ("nudge.bin.json", os.mkdir),
    ):
        files.remove(folder / name)
        instead(folder / name)
        calls.taken()
        packed(folder)
        assert calls.taken(), name
        assert (folder / "nudge.bin").read_bytes() == b"bits"


def test_a_flipped_bit_in_what_a_stamp_says_is_noticed(tmp_path):
    (tmp_path / "a").write_text("a")
    known = {"seed": 3, "fmax_hz": 20000000.0, "met": True}
    stamp.save(tmp_path / "s", {"x": 1}, [tmp_path / "a"], known)
    whole = (tmp_path / "s").read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "s").write_bytes(damaged)
        assert stamp.load(tmp_path / "s", {"x": 1}) in (None, known), f"bit {bit}"


def test_a_build_that_says_something_else_now_is_not_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    board = catalog.board("icebreaker")
    place = {"seed": 0, "fmax_hz": 2e7, "met": True, "seconds": 1.0, "critical": "", "utilization": {}}
    names = ("board", "what", "preset", "clock_hz", "baud", "design", "lanes", "spec", "tools")
    known = {name: COMMITTED[name] for name in names}
    (tmp_path / "icebreaker-tiny-0").mkdir()
    file = tmp_path / "icebreaker-tiny-0" / build.BUILD
    file.write_text(stamp.sealed(known | {"unrouted": [], "routes": [place]}))
    found = report.latest(board, "tiny")
    assert found is not None
    assert found["routes"] == [place]
    file.write_text(file.read_text().replace("20000000.0", "30000000.0"))
    with pytest.raises(
        DesignError, match=r"build.json is damaged \(not that of its digest\): nudge build makes it again"
    ):
        report.latest(board, "tiny")


COMMITTED = json.loads(report.baseline_file("icebreaker", "tiny", "yowasp").read_text())

DAMAGE = {
    "nothing": "",
    "cut": json.dumps(COMMITTED)[:-9],
    "not UTF-8": "\udcff",
    "nan": json.dumps(COMMITTED | {"fmax_hz_median": float("nan")}),
    "a list": "[]",
    **{
        f"no {name}": json.dumps({k: v for k, v in COMMITTED.items() if k != name})
        for name in ("what", "fmax_hz", "baud")
    },
    "negative": json.dumps(COMMITTED | {"fmax_hz_median": -1}),
    "text for a number": json.dumps(COMMITTED | {"clock_hz": "12"}),
    "none of the part": json.dumps(
        COMMITTED | {"utilization": {"x": {"used": 1, "available": 0, "percent": 1}}}
    ),
    "cycles of nothing": json.dumps(COMMITTED | {"cycles": {}}),
    "no cycles at all": json.dumps(COMMITTED | {"cycles": {"training": 0, "inference": 1}}),
    "escape sequences": json.dumps(COMMITTED | {"what": "\x1b[2J"}),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_committed_report(tmp_path, case):
    file = tmp_path / "report.json"
    file.write_bytes(DAMAGE[case].encode(errors="surrogateescape"))
    with pytest.raises(
        DesignError, match=r"^\S+report.json is damaged[:( ][^\x1b\n]*: git checkout brings it back$"
    ):
        report.committed(file)


def test_all_committed_reports_are_reports():
    files = [file for file in report.BASELINES.glob("*.json") if file.name != "cycles.json"]
    assert len(files) >= 5
    assert all(report.committed(file) for file in files)


def test_saving_a_report_leaves_the_old_one_until_the_new_one_is_whole(tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    report.save(file, COMMITTED)

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.files, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        report.save(file, {})
    assert report.committed(file) == COMMITTED
    assert list(tmp_path.iterdir()) == [file]


def test_timing_errors_are_still_told_apart(folder, calls):
    calls.become(nextpnr_ice40="print('ERROR: Unable to place cell'); raise SystemExit(1)")
    with pytest.raises(TimingError, match="Unable to place"):
        routed(folder, json.dumps(FMAX))
