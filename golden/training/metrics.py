"""What a training run leaves to read: metrics as CSV and the learning curve as PNG."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from golden.contract.errors import MetricsError

from .checkpoint import atomic

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


def write_metrics(path: Path, rows: list[Row]) -> None:
    """The rows as CSV with a header, atomically."""
    with atomic(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(asdict(row) | {"error_percent": f"{row.error_percent:.4f}", "seconds": f"{row.seconds:.3f}"})


def read_metrics(path: Path, epoch: int, position: int) -> list[Row]:
    """The rows up to a checkpoint at `position` of `epoch`; [] if there is no file."""
    if not path.exists():
        return []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [Row(*map(int, line[:4]), *map(float, line[4:])) for line in list(csv.reader(stream))[1:]]
    except (ValueError, TypeError, csv.Error) as error:
        raise MetricsError(f"{path} is damaged ({error}): move it away to resume without it") from None
    return [row for row in rows if (row.epoch, row.position) <= (epoch, position)]


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
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
