"""Axes that pictures share."""

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

#: Ratio of the ends of an axis that spans little.
NARROW = 20


def plain_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis as plain numbers: more of them if what is drawn already spans little."""
    low, high = axis.get_view_interval()
    little = axis.axes.has_data() and high < NARROW * low
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if little else (1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def logarithmic(axes: Axes) -> None:
    """Errors in percent on a logarithmic axis."""
    axes.set(yscale="log", ylabel="error (%)")
    plain_ticks(axes.yaxis)
    axes.grid(alpha=0.3, which="both")
