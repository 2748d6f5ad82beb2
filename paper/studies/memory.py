"""Memory of training by equilibrium propagation and by backpropagation through time, and its growth with T.

As in the paper: 2C2FC, batch 10, 150 steps (100 + 25 + 25 for equilibrium propagation); each figure is the
peak of a separate process (`peak`). The paper's figures are a GPU's: a process's resident set isn't
comparable, its growth is.
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nudge.paper.systems.published import PUBLISHED
from nudge.paper.tables import page
from nudge.paper.tables.study import GIBIBYTE, Budget, Cell, Row, Study
from nudge.plumbing import children
from nudge.plumbing.errors import StudyError

from .peak import Job

#: Number of steps at which the paper measures.
STEPS = 150
DEADLINE_S = 3600.0
MEGABYTE = 1e6

BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"widths": (32, 64, 128)}),
    Budget("cpu", 3, 4 * GIBIBYTE, {"widths": (128, 256, 512)}),
)

#: Numbers of steps that are measured.
TRIED = (30, 75, STEPS)

#: Learning rule and whether it spikes, by the names of `configurations`.
SYSTEMS = {
    "snn-ep": ("ep", True),
    "snn-bptt": ("bptt", True),
    "crnn-ep": ("ep", False),
    "crnn-bptt": ("bptt", False),
}


def measure(job: Job) -> dict[str, float]:
    """Measure a job in a separate process and return its peak in MB."""
    command = [sys.executable, "-m", "nudge.paper.studies.peak", job.write()]
    try:
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        done = children.run(command, DEADLINE_S, text=True, **pipes)
    except subprocess.TimeoutExpired:
        raise StudyError(
            f"memory: {job.rule} with {job.steps} steps took more than {DEADLINE_S:.0f} s"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise StudyError(
            f"memory: {job.rule} with {job.steps} steps ended with: "
            f"{children.killed(done.returncode) or last}"
        )
    return {"peak_mb": int(done.stdout) / MEGABYTE}


def seed_cells(budget: Budget, seed: int, data_dir: Path | None) -> Iterator[Cell]:
    """Yield a cell for each system and number of steps; a seed is a repetition."""
    for steps in TRIED:
        for name, (rule, spiking) in SYSTEMS.items():
            job = Job(rule, spiking, steps, budget.values["widths"], device=budget.values["device"])
            yield Cell({"system": name, "steps": str(steps)}, seed, job.write(), partial(measure, job))


def published(name: str) -> float:
    """Return the memory in MB of Table II."""
    return PUBLISHED["mnist"][name].memory or math.nan


def growth(rows: list[Row]) -> str:
    """Return the growth in MB per step."""
    return f"{(page.mean(rows, str(STEPS)) - page.mean(rows, str(TRIED[0]))) / (STEPS - TRIED[0]):.1f}"


COLUMNS = [
    *(page.Column(f"{steps} steps", str(steps), 0) for steps in TRIED),
    page.Column("MB a step", growth),
    page.Column(f"paper, {STEPS} steps", lambda rows: f"{published(rows[0]['system']):.0f}"),
]


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Report the peak for each number of steps, the growth per step, and the paper's figure at 150 steps."""
    by_system = {name: page.select(page.across(rows, "steps", "peak_mb"), system=name) for name in SYSTEMS}
    ours = {name: page.mean(mine, str(STEPS)) for name, mine in by_system.items()}
    ratios = [
        f"{kind}: {ours[bptt] / ours[ep]:.1f} (paper {published(bptt) / published(ep):.1f})"
        for kind, ep, bptt in (("snn", "snn-ep", "snn-bptt"), ("crnn", "crnn-ep", "crnn-bptt"))
    ]
    text = (
        f"Budget {budget.name}, 2C2FC of widths {budget.values['widths']}, batch 10: peak memory of training "
        "in MB.\n\n"
        f"{page.table([row for mine in by_system.values() for row in mine], COLUMNS)}\n\n"
        f"BPTT over EP at {STEPS} steps: {', '.join(ratios)}."
    )
    lines: list[page.Curve] = []
    for name, mine in by_system.items():
        lines.append((name, TRIED, [page.mean(mine, str(steps)) for steps in TRIED]))
        lines.append((f"{name}, the paper's (GPU, 128-256)", [STEPS], [published(name)]))
    page.write(path, text, page.curves([{"peak memory (MB)": lines}], "steps"))
    return text


STUDY = Study("memory", BUDGETS, seed_cells, report, partial=True, devices=True)
