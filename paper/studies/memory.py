"""Memory that training takes, equilibrium propagation against backpropagation through time, and how it grows with T.

As the paper measures it: 2C2FC, batch 10, 150 steps (100 + 25 + 25 for equilibrium propagation); each figure is the peak
of a process of its own (`peak`). The paper's are of a GPU; a process's resident set isn't the same, its growth is.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from paper.systems.published import PUBLISHED
from plumbing import children
from plumbing.axes import plain_ticks
from plumbing.errors import StudyError

from . import page
from .peak import Job
from .study import GIBIBYTE, Budget, Cell, Row, Study

#: What the paper measures at.
STEPS = 150
DEADLINE_S = 3600.0
MEGABYTE = 1e6

BUDGETS = (
    Budget("quick", 1, GIBIBYTE, {"widths": (32, 64, 128), "steps": (30, 75, 150)}),
    Budget("cpu", 3, 4 * GIBIBYTE, {"widths": (128, 256, 512), "steps": (30, 75, 150)}),
    Budget("paper", 3, 10 * GIBIBYTE, {"widths": (128, 256, 512), "steps": (30, 75, 150, 300)}),
)

#: Names as in `configurations`, rule and whether it spikes.
SYSTEMS = {"snn-ep": ("ep", True), "snn-bptt": ("bptt", True), "crnn-ep": ("ep", False), "crnn-bptt": ("bptt", False)}


#: The spiking system's line is wide, the other's narrow and broken: where they coincide both are seen.
MARKS: dict[bool, dict[str, Any]] = {
    True: {"marker": "o", "markersize": 11, "linewidth": 5, "alpha": 0.5},
    False: {"marker": "o", "markersize": 5, "linestyle": "--"},
}


def measure(job: Job) -> dict[str, float]:
    """Peak in MB, from a process of its own."""
    command = [sys.executable, "-m", "paper.studies.peak", job.write()]
    try:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = children.run(command, DEADLINE_S, text=True, **pipes)
    except subprocess.TimeoutExpired:
        raise StudyError(f"memory: {job.rule} with {job.steps} steps took more than {DEADLINE_S:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise StudyError(f"memory: {job.rule} with {job.steps} steps ended with: {children.killed(done.returncode) or last}")
    return {"peak_mb": int(done.stdout) / MEGABYTE}


def cells(budget: Budget, seeds: int, data_dir: Path | None) -> list[Cell]:
    """One for each system and number of steps; a seed is a repetition."""
    made = []
    for seed in range(1, seeds + 1):
        for steps in budget.values["steps"]:
            for name, (rule, spiking) in SYSTEMS.items():
                job = Job(rule, spiking, steps, budget.values["widths"], device=budget.values["device"])
                labels = {"system": name, "steps": str(steps)}
                made.append(Cell(labels, seed, job.write(), partial(measure, job)))
    return made


def report(budget: Budget, rows: list[Row], path: Path) -> str:
    """Peaks for each number of steps, growth for each step, and the paper's figure at 150 steps."""
    steps = budget.values["steps"]
    lines = []
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for name, (_, spiking) in SYSTEMS.items():
        each = {t: page.select(rows, system=name, steps=str(t)) for t in steps}
        means = {t: page.mean(mine, "peak_mb") for t, mine in each.items()}
        growth = (means[steps[-1]] - means[steps[0]]) / (steps[-1] - steps[0])
        paper = PUBLISHED["mnist"][name].memory or 0.0
        lines.append([name, *(page.both(each[t], "peak_mb", 0) for t in steps), f"{growth + 0.0:.1f}", f"{paper:.0f}"])
        mark = MARKS[spiking]
        axes.plot(steps, list(means.values()), **mark, color=page.COLOURS[name], label=name)
        axes.plot(STEPS, paper, "x", color=page.COLOURS[name], label=f"{name}, paper (GPU, 128-256)")
    title = f"batch 10, {'-'.join(map(str, budget.values['widths']))}"
    axes.set(xlabel="steps", ylabel="peak memory (MB)", yscale="log", title=title)
    plain_ticks(axes.yaxis)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    header = ["system", *(f"{t} steps" for t in steps), "MB a step", f"paper, {STEPS} steps"]
    ratios = []
    for kind in ("snn", "crnn"):
        ours = [page.mean(page.select(rows, system=f"{kind}-{rule}", steps=str(STEPS)), "peak_mb") for rule in ("bptt", "ep")]
        paper_bptt, paper_ep = (PUBLISHED["mnist"][f"{kind}-{rule}"].memory or 0.0 for rule in ("bptt", "ep"))
        ratios.append(f"{kind}: {ours[0] / ours[1]:.1f} (paper {paper_bptt / paper_ep:.1f})")
    text = (
        f"Budget {budget.name}, 2C2FC of widths {budget.values['widths']}, batch 10: peak memory of training in MB.\n\n"
        f"{page.table(header, lines)}\n\nBPTT over EP at {STEPS} steps: {', '.join(ratios)}."
    )
    page.write(path, text, figure)
    return text


STUDY = Study("memory", BUDGETS, cells, report, partial=True, devices=True)
