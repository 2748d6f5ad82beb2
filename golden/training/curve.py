"""Picture of a training run: its errors over the samples, on a logarithmic axis."""

from pathlib import Path

from nudge.plumbing import files

from .metrics import Epoch, Row, drawable, sliding_error


def plot_curve(
    path: Path, rows: list[Row], epochs: list[Epoch], title: str, test_error: float | None = None
) -> None:
    """Write the picture as PNG, atomically.

    It has the training error after each commit, the held-out error after each epoch and the test error at the
    end, where they exist. A logarithmic axis has no zero: no wrong prediction is drawn as half a sample,
    which the legend says.
    """
    from matplotlib.figure import Figure  # late import: takes half a second, and most commands draw nothing
    from matplotlib.ticker import EngFormatter

    from nudge.plumbing.axes import logarithmic

    last, seen, percent = sliding_error(rows)
    held_out = {
        end.samples: end.held_out_error_percent for end in epochs if end.held_out_error_percent is not None
    }
    figure = Figure(figsize=(7, 4), layout="constrained")
    panel = figure.subplots()

    def shown(errors: list[float], label: str) -> tuple[list[float], str]:
        least = f"; none wrong is drawn as {50 / last:.2g} %" if 0 in errors else ""
        return drawable(errors, last), label + least

    values, label = shown(percent, f"training, last {last:,} samples")
    panel.plot(seen, values, label=label)
    if held_out:
        values, label = shown(list(held_out.values()), "held out, after each epoch")
        panel.plot(list(held_out), values, ".", color="C2", label=label)
    if test_error is not None:
        values, label = shown([test_error], f"test: {test_error:.2f} %")
        panel.plot(seen[-1:] or [0], values, "o", color="C1", label=label)
    logarithmic(panel)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.set(xlabel="training samples", title=title)
    panel.legend()
    with files.atomic(path, files.PNG) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
