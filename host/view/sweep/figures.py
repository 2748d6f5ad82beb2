"""The figures of a sweep's page, drawn by Bokeh in a browser from the tables of its content."""

from typing import Any

from bokeh.models import FactorRange, HoverTool, LinearScale, Range1d

from nudge.host.view import figures
from nudge.host.view.content import Content
from nudge.host.view.figures import HIGH, Artist, Panel, label
from nudge.host.view.page import Section
from nudge.host.view.ticks import round_ticks

from .content import BAD
from .folder import CURVES, POINTS, Sweep
from .settings import Axis, axes, settings

#: Width and height in pixels of a figure of one varied key.
WIDTH, HEIGHT = 380, 300

#: Letters of all categories that fit side by side below such a figure; more are turned.
LETTERS = 30

#: Pixels of a letter.
LETTER = 7

#: Most runs that a hover names.
NAMED = 3

#: Style of marks, of columns of their tables.
MARK: dict[str, Any] = {
    "marker": "marker",
    "size": 9,
    "line_color": "colour",
    "fill_color": "colour",
    "line_width": 2,
}

#: What marks, zeros and means are.
MARKS = "A triangle is a run that was pruned, a cross one that failed"
ZERO = "The axis is logarithmic: no error at all is drawn as half of the smallest other."
EDGE = "one that has no error lies at the upper edge."
MEANS = "Diamonds are means over the seeds of a setting, with bars of a standard deviation."


def learning(artist: Artist, sweep: Sweep) -> list[Section]:
    """Return the section of all learning curves; none if there is none yet."""
    if not any(trial.curve for trial in sweep.trials):
        return []
    shown = artist.curves(
        height=HIGH + 100,
        y_axis_type="log",
        x_axis_label="training samples",
        y_axis_label=sweep.measured if sweep.held_out else "training error (%)",
        toolbar_location="above",
        tools="pan,box_zoom,wheel_zoom,reset,save",
    )
    label(shown.yaxis, round_errors(artist.content)[0])
    lines = shown.multi_line(
        "xs",
        "ys",
        source=artist.table("curves"),
        line_color="colour",
        line_alpha="alpha",
        line_width="width",
        hover_line_color=BAD,
        hover_line_alpha=1,
    )
    ends = shown.scatter(
        "samples",
        "percent",
        source=artist.table("ends"),
        **MARK,
    )
    tips = [("run", "@run"), ("", "@setting"), ("error", "$snap_y{0.00} % at $snap_x{0,0} samples")]
    shown.add_tools(
        HoverTool(renderers=[lines], tooltips=tips, line_policy="nearest", limit=NAMED),
        HoverTool(renderers=[ends], tooltips=[("run", "@run"), ("", "@state")], limit=NAMED),
    )
    what = (
        "Error of the held-out images after each epoch"
        if sweep.held_out
        else f"Training error over the last samples, each predicted before it was learned, at {POINTS} "
        f"points at most"
    )
    most = (
        f" Of more than {CURVES} runs, those with the smallest errors have curves."
        if len(sweep.trials) > CURVES
        else ""
    )
    caption = (
        f"{what}; runs with the smallest errors are coloured, and the pointer names each. "
        f"{MARKS}.{most} {ZERO}"
    )
    return [Section("learning", "Learning", {"curves": Panel("All runs", caption, shown)})]


def against(artist: Artist, sweep: Sweep) -> list[Section]:
    """Return the section of the error against each varied key; none if no run has a value."""
    panels = {f"against-{n}": _panel(artist, n, axis, sweep) for n, axis in enumerate(axes(sweep))}
    caption = " ".join((*([MEANS] if settings(sweep) else []), f"{MARKS}; {EDGE}"))
    return [Section("against", "Error against each varied key", panels, caption)] if panels else []


def round_errors(content: Content) -> list[tuple[float, ...]]:
    """Return the labelled errors of curves and of points, as `round_ticks`."""
    curves = round_ticks([percent for ys in content.tables["curves"]["ys"] for percent in ys])
    return [curves, figures.round_errors(content, ("points-",))]


def _panel(artist: Artist, number: int, axis: Axis, sweep: Sweep) -> Panel:
    options: dict[str, Any] = {}
    if axis.categories is not None:
        options["x_range"] = FactorRange(*axis.categories)
    elif axis.logarithmic:
        options["x_axis_type"] = "log"
    shown = artist.curves(
        width=WIDTH,
        height=HEIGHT,
        y_axis_type="log",
        x_axis_label=axis.key,
        y_axis_label=sweep.measured,
        tools="",
        **options,
    )
    label(shown.yaxis, round_errors(artist.content)[1])
    if axis.ticks:
        label(shown.xaxis, axis.ticks)
    elif axis.categories is not None and sum(map(len, axis.categories)) > LETTERS:
        shown.xaxis.major_label_orientation = "vertical"
        shown.height += LETTER * max(map(len, axis.categories))
    means = artist.table(f"means-{number}")
    averaged = bool(means.data["value"])
    points = shown.scatter(
        "value",
        "percent",
        source=artist.table(f"points-{number}"),
        marker="marker",
        size=6,
        line_color="colour",
        fill_color="colour",
        alpha=0.5 if averaged else 0.8,
    )
    bars = shown.segment("value", "low", "value", "high", source=means, line_color=BAD, line_width=2)
    middles = shown.scatter("value", "percent", source=means, marker="diamond", size=13, color=BAD)
    # the axis of errors doesn't count these: they lie along the upper edge of the figure
    shown.y_range.renderers = [points, bars, middles]
    shown.extra_y_ranges, shown.extra_y_scales = {"edge": Range1d(0, 1)}, {"edge": LinearScale()}
    unknown = shown.scatter(
        "value",
        0.96,
        source=artist.table(f"unknown-{number}"),
        **MARK,
        y_range_name="edge",
    )
    tips = [("run", "@run"), ("", "@state"), ("error", "@error")]
    shown.add_tools(HoverTool(renderers=[points, middles, unknown], tooltips=tips, limit=NAMED))
    return Panel(f"Error against {axis.key}", "", shown)
