"""The picture of a sweep: learning curves of all runs, and error against each varied key."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nudge.host.sweep.table import COPY, State
from nudge.host.view.colours import GREY
from nudge.plumbing import files
from nudge.plumbing.axes import logarithmic
from nudge.plumbing.errors import ViewError

from .content import BAD, MARKERS, content, faintness, highlights
from .folder import Reader, Sweep, is_sweep
from .settings import Axis, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The picture in a sweep's folder.
PICTURE = "sweep.png"

#: Panels of varied keys in a row; width and height in inches of such a panel, and height of the curves.
COLUMNS, WIDTH, HEIGHT, CURVES_HEIGHT = 3, 4.0, 3.2, 4.2

#: Letters of all categories that fit side by side below a panel; more are turned. Inches of a letter.
LETTERS, LETTER = 36, 0.08

#: matplotlib's markers and their labels, by Bokeh's.
POINTS = dict(zip(MARKERS.values(), ("o", "^", "x", "h"), strict=True))
LABELS = {marker: state for state, marker in MARKERS.items()}

#: Label of means.
MEAN = "mean over seeds, ± standard deviation"


def write(folder: Path) -> Path:
    """Write `PICTURE` to a sweep's folder atomically; return its path. Raises the errors of `picture`."""
    path = folder / PICTURE
    figure = picture(folder)
    with files.atomic(path, files.PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path


def picture(folder: Path) -> "Figure":
    """Draw a sweep's state. `ViewError` if the folder isn't a sweep's, `PlanError` for a damaged table."""
    from matplotlib.figure import Figure  # late import: takes half a second

    if not is_sweep(folder):
        raise ViewError(f"no sweep at {folder}: it has no {COPY}")
    sweep = Reader(folder).read()
    tables, varied = content(sweep).tables, axes(sweep)
    rows = [varied[i : i + COLUMNS] for i in range(0, len(varied), COLUMNS)]
    height = CURVES_HEIGHT + sum(HEIGHT + max(map(_labels, row)) for row in rows)
    figure = Figure(figsize=(COLUMNS * WIDTH, height), layout="constrained")
    grid = figure.add_gridspec(1 + len(rows), COLUMNS, height_ratios=[CURVES_HEIGHT, *(HEIGHT for _ in rows)])
    _curves(figure.add_subplot(grid[0, :]), sweep, tables)
    for number, axis in enumerate(varied):
        row, column = divmod(number, COLUMNS)
        _against(
            figure.add_subplot(grid[1 + row, column]),
            sweep,
            axis,
            {name: tables[f"{name}-{number}"] for name in ("points", "unknown", "means")},
        )
    handles = {
        label: handle
        for panel in figure.axes
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    shown = [label for label in (*LABELS.values(), MEAN) if label in handles]
    figure.legend(
        [handles[label] for label in shown],
        shown,
        loc="outside lower center",
        ncols=len(shown),
        frameon=False,
    )
    return figure


def _labels(axis: Axis) -> float:
    """Return the height of turned labels, in inches."""
    return LETTER * max(map(len, axis.categories)) if axis.categories and _turned(axis.categories) else 0.0


def _turned(categories: tuple[str, ...]) -> bool:
    return sum(map(len, categories)) > LETTERS


def _curves(panel: "Axes", sweep: Sweep, tables: dict[str, dict[str, list[Any]]]) -> None:
    """Draw all learning curves; a legend names the best runs."""
    curves, best = tables["curves"], highlights(sweep)
    lines = {}
    for run, xs, ys in zip(curves["run"], curves["xs"], curves["ys"], strict=True):
        if run in best:
            (lines[run],) = panel.plot(xs, ys, color=best[run], lw=2, marker=".")
        else:
            panel.plot(xs, ys, color=GREY, lw=0.8, alpha=faintness(len(curves["run"])))
    _points(panel, tables["ends"] | {"value": tables["ends"]["samples"]})
    logarithmic(panel)
    named = {f"{t.name}: {t.figures.percent:.2f} %": lines[t.name] for t in sweep.ranked if t.name in lines}
    if named:
        panel.legend(named.values(), named.keys(), title=sweep.measured)
    curve = sweep.measured if sweep.held_out else "training error (%)"
    panel.set(xlabel="training samples", ylabel=curve, title=f"{sweep.name}: {len(sweep.trials)} runs")


def _against(panel: "Axes", sweep: Sweep, axis: Axis, tables: dict[str, dict[str, list[Any]]]) -> None:
    """Draw the error against a varied key."""
    if axis.categories is not None:
        panel.set(
            xticks=range(len(axis.categories)),
            xticklabels=axis.categories,
            xlim=(-0.5, len(axis.categories) - 0.5),
        )
        if _turned(axis.categories):
            panel.tick_params(axis="x", rotation=90)
        at = {name: i for i, name in enumerate(axis.categories)}
        tables = {
            name: table
            | {"value": [at[x] if isinstance(x, str) else at[x[0]] + x[1] for x in table["value"]]}
            for name, table in tables.items()
        }
    _points(panel, tables["points"])
    _points(
        panel,
        tables["unknown"] | {"percent": [0.96] * len(tables["unknown"]["value"])},
        panel.get_xaxis_transform(),
    )
    means = tables["means"]
    if means["value"]:
        panel.vlines(means["value"], means["low"], means["high"], color=BAD)
        panel.plot(means["value"], means["percent"], "D", color=BAD, markersize=5, label=MEAN)
    logarithmic(panel)
    if axis.logarithmic:
        panel.set(xscale="log")
    if axis.ticks:
        ticks = [tick for tick in axis.ticks if axis.ends[0] <= tick <= axis.ends[1]]
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.xaxis.minorticks_off()
    panel.set(xlabel=axis.key, ylabel=sweep.measured)


def _points(panel: "Axes", table: dict[str, list[Any]], transform: Any = None) -> None:
    """Draw a table's points, one kind of marker after the other."""
    for marker, drawn in POINTS.items():
        chosen = [i for i, each in enumerate(table["marker"]) if each == marker]
        x, y, colour = ([table[name][i] for i in chosen] for name in ("value", "percent", "colour"))
        options: dict[str, Any] = {"alpha": 0.6, "s": 18} if marker == MARKERS[State.DONE] else {"s": 36}
        if transform is not None:
            options["transform"] = transform
        if chosen:
            panel.scatter(x, y, c=colour, marker=drawn, zorder=3, label=LABELS[marker], **options)
