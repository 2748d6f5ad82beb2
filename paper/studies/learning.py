"""Learning curves of Table II: errors of each epoch, on a logarithmic axis, the paper's figures at the right edge."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from paper.systems.configurations import table_two
from paper.systems.published import OWN_ROW, PUBLISHED
from plumbing.axes import logarithmic

from . import page
from .study import Row

#: What a row's numbers are called, and what the vertical axis says of them.
KINDS = {"part": "training error before learning (%)", "test": "test error (%)"}

Line = Literal["-", "--", "-.", ":"]

#: Of the end of a variant's name; a line without one of these is solid.
STYLES: dict[str, Line] = {"weak feedback": "--", "falling": "-.", "centred": ":", "half rates": "--"}

#: Systems of the paper itself; the others are of works that it cites.
OWN = {c.name for c in table_two("mnist") if c.row == OWN_ROW}

#: A run that ends above it, in percent, learnt nothing that an axis should make room for.
LOST = 50.0

#: Between the highest error that an axis has room for and its end.
MARGIN = 1.1


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    data: str
    #: Of `KINDS`.
    kind: str
    rows: list[Row]
    #: Where its vertical axis ends; infinite if it has room for all that there is.
    top: float = math.inf


def curve(row: Row, kind: str) -> tuple[list[int], list[float]]:
    """(epochs, errors) of one seed."""
    errors = [float(row[f"{kind}_{n}"]) for n in range(1, len(row)) if f"{kind}_{n}" in row]
    return list(range(1, len(errors) + 1)), errors


def style(variant: str) -> Line:
    """The line of a variant."""
    return next((line for end, line in STYLES.items() if variant.endswith(end)), "-")


def ceiling(rows: list[Row], kind: str) -> float:
    """`Panel.top` that has room for the runs that learn."""
    errors = [of for row in rows if (of := curve(row, kind)[1])]
    learnt = [max(of) for of in errors if of[-1] < LOST]
    highest = max((max(of) for of in errors), default=0.0)
    return MARGIN * max(learnt) if learnt and highest > MARGIN * max(learnt) else math.inf


def draw(axes: Axes, panel: Panel) -> None:
    """A colour for each system, a style of line for each variant, a line for each seed; of tests, the paper's figure and its
    deviation, each at a place of its own."""
    axes.set_yscale("log")
    last, top = 1, panel.top
    for row in panel.rows:
        x, errors = curve(row, panel.kind)
        last = max(last, len(errors))
        colour = page.COLOURS[row["system"]]
        axes.plot(x, errors, "o", linestyle=style(row["variant"]), markersize=2.5, linewidth=1.2, color=colour)
        above = [n for n, error in zip(x, errors, strict=True) if error > top]
        if above:
            axes.plot(above, [top] * len(above), "^", color=colour, clip_on=False, zorder=3)
    if panel.kind == "test":
        for place, name in enumerate(systems(panel.rows), start=1):
            of, x_place = PUBLISHED[panel.data][name], last * (1 + 0.04 * place)
            axes.errorbar(x_place, of.test, of.deviation, fmt="D", markersize=4, capsize=3, color=page.COLOURS[name])
    logarithmic(axes)
    if math.isfinite(top):
        axes.set_ylim(top=top)
    axes.set(title=panel.title, ylabel=KINDS[panel.kind])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def systems(rows: list[Row]) -> list[str]:
    """Names, in the order of their colours."""
    return sorted({row["system"] for row in rows}, key=list(page.COLOURS).index)


def handles(rows: list[Row]) -> Iterator[Line2D]:
    """What a legend has: each system and variant, and how many seeds of it."""
    for name in systems(rows):
        of = page.select(rows, system=name)
        for variant in dict.fromkeys(row["variant"] for row in of):
            seeds = len(page.select(of, variant=variant))
            label = f"{name}, {variant}" + (f" ({seeds} seeds)" if seeds > 1 else "")
            yield Line2D([], [], color=page.COLOURS[name], linestyle=style(variant), label=label)


def marks(rows: list[Row]) -> Iterator[Line2D]:
    """What the legend of whole runs has besides."""
    yield Line2D([], [], color="grey", linestyle="", marker="D", markersize=4, label="the paper's, and its deviation")
    if any(math.isfinite(ceiling(rows, kind)) for kind in KINDS):
        yield Line2D([], [], color="grey", linestyle="", marker="^", label="above the axis")


def whole_runs(rows: list[Row], sets: list[str]) -> Figure:
    """A line of panels for each data set and for the works that the paper cites: training errors, test errors, the legend."""
    groups = [
        (f"{data}, {name}", data, found)
        for data in sets
        for name, own in ((OWN_ROW, True), ("cited works", False))
        if (found := [row for row in page.select(rows, data=data) if (row["system"] in OWN) == own])
    ]
    lines = max(len(groups), 1)
    figure, panels = plt.subplots(
        lines, 3, figsize=(15, 4.2 * lines), width_ratios=(1, 1, 0.5), layout="constrained", squeeze=False
    )
    for axes, (title, data, found) in zip(panels, groups, strict=False):
        for one, kind in zip(axes, KINDS, strict=False):
            draw(one, Panel(title, data, kind, found, ceiling(found, kind)))
            one.set_xlabel("epoch")
        axes[-1].legend(handles=[*handles(found), *marks(found)], fontsize=8, loc="upper left", borderaxespad=0)
    for axes in panels[:, -1]:
        axes.axis("off")
    return figure


def short_runs(rows: list[Row], sets: list[str], parts: int) -> Figure:
    """Training errors of the parts of a run: a line of panels for each variant, a column for each data set."""
    variants = list(dict.fromkeys(row["variant"] for row in rows)) or ["-"]
    size = (6 * len(sets), 3.6 * len(variants))
    figure, panels = plt.subplots(len(variants), len(sets), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for line, variant in zip(panels, variants, strict=True):
        for axes, data in zip(line, sets, strict=True):
            found = page.select(rows, data=data, variant=variant)
            draw(axes, Panel(f"{data}, {variant}", data, "part", found))
            axes.set_xlabel(f"part of the run, of {parts}")
            axes.set_visible(bool(found))
            axes.legend(handles=list(handles(found)), fontsize=7)
    return figure
