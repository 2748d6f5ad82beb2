"""A study's Markdown table and picture, beside its CSV: a line of the table combines all seeds of a row."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display on a server
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nudge.plumbing import files
from nudge.plumbing.axes import plain_ticks

from .study import Budget, Row


def write(path: Path, table: str, figure: Figure) -> None:
    """Write the table as .md and the figure as .png, replacing earlier files, and close the figure."""
    with files.atomic(path.with_suffix(".png"), files.PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
    files.write(path.with_suffix(".md"), table + "\n", alike=2)


def labels(row: Row) -> list[str]:
    """Return the names of a row's labels: its columns before the seed."""
    return list(row)[: list(row).index("seed")]


def groups(rows: list[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Group rows by their labels, in order of appearance; the rows of a group differ in their seeds."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(name, "") for name in labels(rows[0])), []).append(row)
    return found


def across(rows: list[Row], label: str, figure: str) -> list[Row]:
    """Pivot: merge rows that differ only in `label`, with each one's `figure` under its label's value."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        rest = {name: row[name] for name in (*labels(row), "seed") if name != label}
        found.setdefault(tuple(rest.values()), rest)[row[label]] = row[figure]
    return list(found.values())


def select(rows: list[Row], **wanted: str) -> list[Row]:
    """Return the rows with these labels, one for each seed."""
    return [row for row in rows if all(row.get(name, "") == value for name, value in wanted.items())]


def values(rows: list[Row], name: str) -> list[float]:
    """Return a figure's values, of the seeds that have it."""
    return [value for row in rows if not math.isnan(value := float(row.get(name, "nan")))]


def moments(rows: list[Row], name: str) -> tuple[float, float]:
    """Return mean and sample standard deviation of a figure over the seeds.

    The deviation of a single value is 0; without values the mean is nan.
    """
    each = values(rows, name)
    return statistics.fmean(each) if each else math.nan, statistics.stdev(each) if len(each) > 1 else 0.0


def mean(rows: list[Row], name: str) -> float:
    """Return the mean of a figure over the seeds."""
    return moments(rows, name)[0]


def both(rows: list[Row], name: str, digits: int = 2) -> str:
    """Return "mean ± deviation" over the seeds, the mean alone for one seed, "-" without values."""
    average, deviation = moments(rows, name)
    several = f" ± {deviation:.{digits}f}" if len(values(rows, name)) > 1 else ""
    return "-" if math.isnan(average) else f"{average:.{digits}f}{several}"


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    head: str
    #: Name of a figure, shown as mean and deviation, or a function of the rows of all seeds.
    of: str | Callable[[list[Row]], str]
    digits: int = 2

    def cell(self, rows: list[Row]) -> str:
        """Return the column's text for one line of the table."""
        return both(rows, self.of, self.digits) if isinstance(self.of, str) else self.of(rows)


def table(rows: list[Row], columns: Sequence[Column]) -> str:
    """Return a Markdown table of labels, columns and number of seeds; the first column is left-aligned."""
    lines = [
        [*names, *(column.cell(mine) for column in columns), str(len(mine))]
        for names, mine in groups(rows).items()
    ]
    header = [*labels(rows[0]), *(column.head for column in columns), "seeds"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(
    intro: Callable[[Budget], str],
    columns: Sequence[Column],
    picture: Callable[[list[Row]], Figure],
    pivot: tuple[str, str] | None = None,
) -> Callable[[Budget, list[Row], Path], str]:
    """Return a `Study.report` with one table. pivot: (label, figure) of `across`, which is applied first."""

    def written(budget: Budget, rows: list[Row], path: Path) -> str:
        rows = across(rows, *pivot) if pivot else rows
        text = f"{intro(budget)}\n\n{table(rows, columns)}"
        write(path, text, picture(rows))
        return text

    return written


def dots(panels: dict[str, dict[str, str]]) -> Callable[[list[Row]], Figure]:
    """Return a function that draws a dot plot with a line for each line of the table.

    panels: by the title of each panel's axis, the figures' names by their legends. An axis is logarithmic if
    all its values are positive.
    """

    def picture(rows: list[Row]) -> Figure:
        found = groups(rows)
        size = (3 + 5 * len(panels), 2 + 0.22 * len(found))
        figure, line = plt.subplots(
            1, len(panels), figsize=size, layout="constrained", sharey=True, squeeze=False
        )
        for axes, (title, figures) in zip(line[0], panels.items(), strict=True):
            low = math.inf
            for n, (label, name) in enumerate(figures.items()):
                means, deviations = zip(*(moments(mine, name) for mine in found.values()), strict=True)
                places = [place + n / 8 for place in range(len(found))]
                axes.errorbar(means, places, xerr=deviations, fmt="o", markersize=4, label=label)
                low = min([low, *(mean for mean in means if not math.isnan(mean))])
            if low > 0:
                axes.set_xscale("log")
                plain_ticks(axes.xaxis)
            axes.set_xlabel(title)
            axes.grid(alpha=0.3)
            axes.legend()
        line[0][0].set_yticks(range(len(found)), [", ".join(filter(None, names)) for names in found])
        line[0][0].invert_yaxis()
        return figure

    return picture


#: Name, x and y.
Curve = tuple[str, Sequence[float], Sequence[float]]

#: Line styles, by the part of a curve's name after the comma, in order of appearance in a panel.
STYLES = ("-", "--", "-.", ":")


def curves(grid: Sequence[dict[str, list[Curve]]], horizontal: str, *, alike: bool = False) -> Figure:
    """Draw a grid of panels: for each line, the curves by their panel's title.

    The part of a curve's name before the comma sets its colour, the part after it its style; a curve of one
    point is a mark. Curves of several seeds share a name, which is in the legend once. horizontal: label of
    the x axis. alike: the panels of a line share the vertical axis, which is logarithmic if all values of the
    line are positive.
    """
    size, width = (len(grid), len(grid[0])), 6.5
    figure, panels = plt.subplots(
        *size,
        figsize=(width * size[1], 4 * size[0]),
        layout="constrained",
        squeeze=False,
        sharey="row" if alike else "none",
    )
    colours: dict[str, str] = {}
    for line, places in zip(grid, panels, strict=True):
        positive = all(y > 0 for panel in line.values() for _, _, ys in panel for y in ys)
        for (title, panel), axes in zip(line.items(), places, strict=True):
            styles: dict[str, str] = {}
            for name, x, y in panel:
                first, _, rest = name.partition(", ")
                colour = colours.setdefault(first, f"C{len(colours)}")
                style = "D" if len(x) == 1 else styles.setdefault(rest, STYLES[len(styles) % len(STYLES)])
                known = axes.get_legend_handles_labels()[1]
                axes.plot(x, y, style, markersize=4, color=colour, label="" if name in known else name)
            if positive:
                axes.set_yscale("log")
                plain_ticks(axes.yaxis)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set(xlabel=horizontal)
            axes.set_title(title, loc="left")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
