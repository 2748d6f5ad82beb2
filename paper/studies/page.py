"""A study's Markdown table and picture, beside its CSV: a line of the table for each row's seeds."""

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

from plumbing import files
from plumbing.axes import plain_ticks

from .study import Budget, Row


def write(path: Path, table: str, figure: Figure) -> None:
    """Both, in place of what was there. The figure is closed."""
    with files.atomic(path.with_suffix(".png"), files.PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
    files.write(path.with_suffix(".md"), table + "\n", alike=2)


def labels(row: Row) -> list[str]:
    """Names of a row's labels, which come before its seed."""
    return list(row)[: list(row).index("seed")]


def groups(rows: list[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Rows by their labels, in the order in which these come; the rows of one group differ in their seeds."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(name, "") for name in labels(rows[0])), []).append(row)
    return found


def across(rows: list[Row], label: str, figure: str) -> list[Row]:
    """A row for those that differ in one label alone, whose values become the names of their figures."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        rest = {name: row[name] for name in (*labels(row), "seed") if name != label}
        found.setdefault(tuple(rest.values()), rest)[row[label]] = row[figure]
    return list(found.values())


def select(rows: list[Row], **wanted: str) -> list[Row]:
    """Rows with these labels: one for each seed."""
    return [row for row in rows if all(row.get(name, "") == value for name, value in wanted.items())]


def values(rows: list[Row], name: str) -> list[float]:
    """A figure of the seeds that have it."""
    return [value for row in rows if not math.isnan(value := float(row.get(name, "nan")))]


def moments(rows: list[Row], name: str) -> tuple[float, float]:
    """Mean and sample standard deviation of a figure over the seeds: 0 of one seed; a mean of nan without any."""
    each = values(rows, name)
    return statistics.fmean(each) if each else math.nan, statistics.stdev(each) if len(each) > 1 else 0.0


def mean(rows: list[Row], name: str) -> float:
    """Over the seeds."""
    return moments(rows, name)[0]


def both(rows: list[Row], name: str, digits: int = 2) -> str:
    """Mean and deviation over seeds, "-" where nothing is measured, the mean alone of one seed."""
    average, deviation = moments(rows, name)
    several = f" ± {deviation:.{digits}f}" if len(values(rows, name)) > 1 else ""
    return "-" if math.isnan(average) else f"{average:.{digits}f}{several}"


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    head: str
    #: Name of a figure, of which it has mean and deviation, or what it says of the rows of all seeds.
    of: str | Callable[[list[Row]], str]
    digits: int = 2

    def cell(self, rows: list[Row]) -> str:
        """Of one line."""
        return both(rows, self.of, self.digits) if isinstance(self.of, str) else self.of(rows)


def table(rows: list[Row], columns: Sequence[Column]) -> str:
    """Markdown: labels, the columns, and how many seeds there are; the first column is left-aligned."""
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
    """`Study.report` of one table. pivot: arguments of `across`, for table and picture."""

    def written(budget: Budget, rows: list[Row], path: Path) -> str:
        rows = across(rows, *pivot) if pivot else rows
        text = f"{intro(budget)}\n\n{table(rows, columns)}"
        write(path, text, picture(rows))
        return text

    return written


def dots(panels: dict[str, dict[str, str]]) -> Callable[[list[Row]], Figure]:
    """A picture with a line for each line of the table. By the name of each panel's axis, which is logarithmic where
    all is positive: names of figures, by what the legend says."""

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

#: Of the parts of lines' names after a comma, in the order in which a panel has them.
STYLES = ("-", "--", "-.", ":")


def curves(grid: Sequence[dict[str, list[Curve]]], horizontal: str, *, alike: bool = False) -> Figure:
    """Lines of panels by their titles. What is before the comma in a curve's name has a colour, what is after it a
    style; a curve of one point is a mark. Seeds have the same name, which is in the legend once.

    alike: panels of a line have one vertical axis. It is logarithmic where all is positive.
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
            axes.set(title=title, xlabel=horizontal)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return figure
