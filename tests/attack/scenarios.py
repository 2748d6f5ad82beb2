"""Commands to disturb, and the checks of their results afterwards."""

import functools
import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training import checkpoint
from nudge.golden.training.loop import train as run_train
from nudge.golden.training.options import TrainingOptions
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing.errors import ExitCode, WeightsError
from nudge.plumbing.files import UNFINISHED
from tests.golden.training.cut_run import After

from .attack import Attack, failed, nothing
from .cell import Ended, cell

#: A run of three commits, each saved, and the mean of the last two epochs.
OPTIONS = TrainingOptions(samples=8, batch=8, epochs=3, average=2, free_steps=4, nudged_steps=4, seed=5)
TRAIN = [
    *["train", "--board", "golden", "--out", "run"],
    *[
        word
        for name in ("samples", "batch", "epochs", "average", "seed")
        for word in (f"--{name}", str(getattr(OPTIONS, name)))
    ],
    *["--free-steps", "4", "--nudged-steps", "4"],
]
RESUME = ["resume", "--board", "golden", "run"]

YOSYS = "echo '{}' > top.json"
NEXTPNR = """
echo '{"fmax": {"clk": {"achieved": 20.0, "constraint": 18.0}}, "critical_paths": [],
"utilization": {"ICESTORM_LC": {"used": 5000, "available": 5280}}}' > report.json
echo routed > top.asc
"""
ICEPACK = "echo bits > top.bin"


#: Builds go to `build` in the cell's folder, and tools are found in its `bin`.
ENVIRONMENT = {"NUDGE_BUILD": "build", "PATH": "{folder}/bin:/usr/bin:/bin"}

# -- training


@functools.cache
def reference() -> tuple[bytes, bytes]:
    """Return the weights at the end of an undisturbed run, and those after its first commit."""
    whole, cut = (
        _run(Path(os.environ["NUDGE_BUILD"]) / name, stop)
        for name, stop in (("whole", Stop()), ("cut", After(1)))
    )
    return whole, cut


def _run(out: Path, stop: Stop) -> bytes:
    shutil.rmtree(out, ignore_errors=True)
    run, data = Run.prepare(out, OPTIONS)
    run.picture = False
    run_train(run, GoldenBoard(configuration(preset("tiny"))), data, stop)
    found = bits(out)
    assert found is not None
    return found


def bits(out: Path) -> bytes | None:
    """Return the weights and biases of a run as bytes, or None if they are missing or can't be read."""
    try:
        parameters = checkpoint.load(out / checkpoint.WEIGHTS)[1]
    except WeightsError:
        return None
    stream = io.BytesIO()
    torch.save([*parameters.weights, *parameters.biases], stream)
    return stream.getvalue()


def without(words: list[str], flag: str) -> list[str]:
    """Return the words without an option, which occurs at most once, and its value."""
    at = words.index(flag) if flag in words else len(words)
    return [*words[:at], *words[at + 2 :]]


def half_done(folder: Path) -> None:
    """Copy a run that was stopped after its first commit."""
    shutil.copytree(Path(os.environ["NUDGE_BUILD"]) / "cut", folder / "run")


def same_bits(folder: Path, ended: Ended) -> list[str]:
    """Return an error if the command succeeded with other weights than the undisturbed ones."""
    return ["other weights"] if ended.code == ExitCode.OK and bits(folder / "run") != reference()[0] else []


def train_left(folder: Path, ended: Ended) -> list[str]:
    """Return errors if the command succeeded with other weights, or left a damaged weight file."""
    out = folder / "run"
    damaged = (out / checkpoint.WEIGHTS).exists() and bits(out) is None
    return same_bits(folder, ended) + ["it left a damaged weight file"] * damaged


def train_mend(folder: Path) -> list[str]:
    """Resume, or begin again if nothing was saved; return errors unless it ends with the same bits."""
    out = folder / "run"
    ended = cell(RESUME if (out / checkpoint.WEIGHTS).exists() else TRAIN, folder)
    return failed("going on", ended) or same_bits(folder, ended) + unfinished(out)


def unfinished(folder: Path) -> list[str]:
    """Return an error for each half-written file that was left."""
    return [f"{path.name} is left" for path in folder.iterdir() if path.name.endswith(UNFINISHED)]


# -- builds


def tools(folder: Path) -> None:
    """Write scripts in place of synthesis, routing and packing."""
    (folder / "bin").mkdir()
    for name, script in (("yosys", YOSYS), ("nextpnr-ice40", NEXTPNR), ("icepack", ICEPACK)):
        file = folder / "bin" / name
        file.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo "tool 1.2"; exit; fi\n{script}\n')
        file.chmod(0o755)


def no_elaboration() -> None:
    """Elaborate once, since Amaranth takes seconds for the same result; start children by `fork`.

    The shim can't intercept `vfork`.
    """
    from nudge.boards.toolchain import build

    vars(subprocess).update(_USE_VFORK=False, _USE_POSIX_SPAWN=False)
    build.plan = lambda *arguments: elaborated()[0]
    build.build_id = lambda *arguments: elaborated()[1]


@functools.cache
def elaborated() -> tuple[Any, int]:
    """Return the build plan of `tiny` on the iCEBreaker, and its build number."""
    from nudge.boards.catalog import board
    from nudge.boards.toolchain import netlist
    from nudge.golden.contract.protocol import BuildFacts

    arguments = (board("icebreaker"), "tiny", BuildFacts(0, 1, 0, 0))
    return netlist.plan(*arguments), netlist.build_id(*arguments, {})


BUILD = ["build", "icebreaker", "--preset", "tiny", "--tools", "native"]


def built(folder: Path) -> bytes | None:
    """Return the bitstream of a build in the folder, or None."""
    found = list(folder.glob("build/icebreaker-tiny-*/*.bin"))
    return found[0].read_bytes() if found else None


def build_left(folder: Path, ended: Ended) -> list[str]:
    """Return an error if the command succeeded without the whole bitstream."""
    return ["it succeeded without its bitstream"] if ended.code == 0 and built(folder) != b"bits\n" else []


def build_mend(folder: Path) -> list[str]:
    """Build again; return errors unless it makes the bitstream."""
    ended = cell(BUILD, folder, None, ENVIRONMENT, no_elaboration)
    return failed("building again", ended) or build_left(folder, ended)


# -- reports

REPORT = ["report", "icebreaker", "--preset", "tiny", "--tools", "native", "--save"]


def report_begin(folder: Path) -> None:
    """Make a build, and a committed report of another one."""
    tools(folder)
    assert build_mend(folder) == []
    (folder / "baselines").mkdir()
    from nudge.boards.toolchain import report

    text = report.baseline_file("icebreaker", "tiny", "yowasp").read_text()
    (folder / "baselines" / "icebreaker-tiny-native.json").write_text(text)
    (folder / "old").write_text(text)


def baselines_here() -> None:
    """Make commands read committed reports from the folder, and skip the slow estimate of the line's rate."""
    from nudge.boards.toolchain import report
    from nudge.host.cli.work import builds

    no_elaboration()
    report.BASELINES = Path("baselines")
    builds.link_rate = lambda baud, shown: 460.5


def report_left(folder: Path, ended: Ended) -> list[str]:
    """Return an error unless the committed report is the old or the new one; after success, the new one."""
    text = (folder / "baselines" / "icebreaker-tiny-native.json").read_text()
    old = text == (folder / "old").read_text()
    new = text.endswith("}\n") and '"fmax_hz_median": 20000000.0' in text
    if ended.code == 0 and not new:
        return ["it succeeded and saved nothing"]
    return [] if old or new else ["the committed report is neither the old nor the new one"]


def report_mend(folder: Path) -> list[str]:
    """Save the report again; return errors unless it is saved."""
    ended = cell(REPORT, folder, None, ENVIRONMENT, baselines_here)
    return failed("saving again", ended) or report_left(folder, ended)


# -- studies

REPRO = ["repro", "count", "--budget", "quick", "--out", "results"]


def small_study() -> None:
    """Make `count`, a study of three cells with a table and a picture, the only study. It takes no time."""
    from matplotlib.figure import Figure

    from nudge.paper import studies
    from nudge.paper.tables import page
    from nudge.paper.tables.study import Budget, Cell, Study

    def cells(budget: Budget, seed: int, data_dir: Path | None) -> list[Cell]:
        return [Cell({"value": str(n)}, seed, n, functools.partial(dict, error=n + 0.5)) for n in range(3)]

    def report(budget: Budget, rows: list[dict[str, str]], path: Path) -> str:
        figure = Figure()
        figure.subplots().plot([float(row["error"]) for row in rows])
        text = " ".join(f"{row['value']}:{row['error']}" for row in rows)
        page.write(path, text, figure)
        return text

    study = Study("count", (Budget("quick", 1, 0, {}),), cells, report, partial=True)
    studies.NAMES, studies.find = ("count",), lambda name: study


TABLE = "0:0.5 1:1.5 2:2.5\n"


def repro_left(folder: Path, ended: Ended) -> list[str]:
    """Return an error if the command succeeded without the whole table."""
    file = folder / "results" / "count-quick.md"
    return (
        ["it succeeded without its table"]
        if ended.code == 0 and (not file.exists() or file.read_text() != TABLE)
        else []
    )


def repro_mend(folder: Path) -> list[str]:
    """Run the study again; return errors unless it completes the table."""
    ended = cell(REPRO, folder, None, {}, small_study)
    return failed("going on", ended) or repro_left(folder, ended) + unfinished(folder / "results")


#: The scenarios by name.
SCENARIOS = {
    name: Attack("faults", name, *how)
    for name, how in {
        "train": (TRAIN, nothing, train_left, {}, lambda: None, train_mend),
        "resume": (RESUME, half_done, train_left, {}, lambda: None, train_mend),
        "build": (BUILD, tools, build_left, ENVIRONMENT, no_elaboration, build_mend),
        "report": (REPORT, report_begin, report_left, ENVIRONMENT, baselines_here, report_mend),
        "repro": (REPRO, nothing, repro_left, {}, small_study, repro_mend),
    }.items()
}


def warm_scenarios() -> None:
    """Do the one-time work of all scenarios."""
    reference()
    elaborated()
    small_study()
