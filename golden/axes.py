"""Axes that pictures share."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

#: Ratio of the ends of an axis that spans little.
NARROW = 20


def logarithmic(axes: Axes) -> None:
    """Errors in percent on a logarithmic axis, its ticks as plain numbers: more of them if what is drawn spans little."""
    low, high = axes.get_ylim()
    little = bool(axes.lines) and high < NARROW * low
    axes.set(yscale="log", ylabel="error (%)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if little else (1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3, which="both")
