"""Axes that pictures share."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter


def logarithmic(axes: Axes) -> None:
    """Errors in percent on a logarithmic axis, its ticks as plain numbers."""
    axes.set(yscale="log", ylabel="error (%)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
