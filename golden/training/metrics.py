"""What a training run leaves to read: metrics as CSV and the learning curve as PNG."""

import csv
import hashlib
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from golden import files
from golden.contract.errors import MetricsError

#: The curve's error is over the last samples: 1/CURVE_PARTS of the run, at least CURVE_SAMPLES.
CURVE_PARTS, CURVE_SAMPLES = 30, 100

#: Bytes of a metrics file at most: a million commits.
MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class Row:
    """One commit."""

    #: From 0.
    epoch: int
    #: Samples of the epoch that are trained.
    position: int
    #: Samples of this commit.
    samples: int
    #: Wrong predictions among them.
    errors: int
    #: Of the epoch so far.
    error_percent: float
    #: Of training, all sessions of a resumed run together.
    seconds: float


def as_text(rows: list[Row]) -> str:
    """The rows as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(asdict(row) | {"error_percent": f"{row.error_percent:.4f}", "seconds": f"{row.seconds:.3f}"})
    return stream.getvalue()


def digest(rows: list[Row]) -> str:
    """Of the rows as they are written."""
    return hashlib.sha256(as_text(rows).encode()).hexdigest()


def write_metrics(path: Path, rows: list[Row]) -> None:
    """The rows in place of what was there, atomically."""
    files.write(path, as_text(rows))


def read_metrics(path: Path, epoch: int, position: int, expected: str = "") -> list[Row]:
    """The rows up to a checkpoint at `position` of `epoch`; [] if there is no file.

    expected: the checkpoint's digest of them; older ones have none.
    """
    if not path.exists():
        return []

    def unreadable(why: str) -> MetricsError:
        return MetricsError(f"{why}: move it away to resume without it")

    text = files.read_text(path, MAX_BYTES, unreadable)
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
        rows = [Row(*map(int, line[:4]), *map(float, line[4:])) for line in lines[1:]]
    except (ValueError, TypeError, csv.Error) as error:
        raise unreadable(f"{path} is damaged ({error})") from None
    rows = [row for row in rows if (row.epoch, row.position) <= (epoch, position)]
    if expected and digest(rows) != expected:
        raise unreadable(f"{path} is damaged (its rows aren't those of the checkpoint)")
    return rows


def sliding_error(rows: list[Row]) -> tuple[int, list[int], list[float]]:
    """Training error over the last samples: how many those are, then after each commit samples seen and percent."""
    seen, errors = [0], [0]
    for row in rows:
        seen.append(seen[-1] + row.samples)
        errors.append(errors[-1] + row.errors)
    last = max(seen[-1] // CURVE_PARTS, CURVE_SAMPLES)
    percent, start = [], 0
    for i in range(1, len(seen)):
        while seen[i] - seen[start + 1] >= last:
            start += 1
        percent.append(100 * (errors[i] - errors[start]) / (seen[i] - seen[start]))
    return last, seen[1:], percent


def plot_curve(path: Path, rows: list[Row], title: str, test_error: float | None = None) -> None:
    """The learning curve, and the test error at the end if there is one, as PNG, atomically."""
    from matplotlib.figure import Figure  # late: it takes half a second, and most commands draw nothing

    last, seen, percent = sliding_error(rows)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(seen, percent, label=f"training, last {last} samples")
    if test_error is not None:
        axes.plot(seen[-1] if seen else 0, test_error, "o", color="C1", label=f"test: {test_error:.2f} %")
    axes.set(xlabel="training samples", ylabel="error (%)", title=title, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    with files.atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
