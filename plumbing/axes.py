"""Axes that several pictures share."""

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

#: An axis whose ends have a smaller ratio gets more ticks.
NARROW = 20


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, with more ticks if the data drawn so far span little."""
    low, high = axis.get_view_interval()
    little = axis.axes.has_data() and high < NARROW * low
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7) if little else (1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def logarithmic(axes: Axes) -> None:
    """Make the y axis a logarithmic one of errors in percent."""
    axes.set(yscale="log", ylabel="error (%)")
    plain_ticks(axes.yaxis)
    axes.grid(alpha=0.3, which="both")
