"""A study's Markdown table and picture, beside its CSV."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display on a server
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from paper.systems.published import PUBLISHED
from plumbing import files

from .study import Row, mean_deviation

#: One colour for each system of Table II, the same in every picture.
COLOURS = {name: f"C{n}" for n, name in enumerate(PUBLISHED["mnist"])}


def write(path: Path, table: str, figure: Figure) -> None:
    """Both, in place of what was there. The figure is closed."""
    with files.atomic(path.with_suffix(".png"), files.PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
    files.write(path.with_suffix(".md"), table + "\n", alike=2)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown; the first column is left-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def select(rows: list[Row], **labels: str) -> list[Row]:
    """Rows with these labels: one for each seed."""
    return [row for row in rows if all(row[name] == value for name, value in labels.items())]


def mean(rows: list[Row], name: str) -> float:
    """Over the seeds; nan without rows."""
    return mean_deviation([float(row[name]) for row in rows])[0] if rows else float("nan")


def both(rows: list[Row], name: str, digits: int = 2) -> str:
    """Mean and deviation over seeds, "-" where nothing is measured, the mean alone of one seed."""
    if not rows:
        return "-"
    average, deviation = mean_deviation([float(row[name]) for row in rows])
    return f"{average:.{digits}f}" + (f" ± {deviation:.{digits}f}" if len(rows) > 1 else "")
