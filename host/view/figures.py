"""The figures of a page, drawn by Bokeh in a browser.

Each figure reads tables and pictures of `Content` by name, and is updated by the same names. Axes and texts
have the page's colours, which Bokeh reads from host/view/page.css.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import (
    BasicTickFormatter,
    ColumnDataSource,
    FixedTicker,
    Label,
    Legend,
    LegendItem,
    LinearColorMapper,
    PrintfTickFormatter,
    Span,
)
from bokeh.plotting import figure

from nudge.golden.contract.spec import Spec

from .colours import COLOURS, DASHES, GREY, LEVELS, NO_VALUE, SPIKES, WEIGHTS
from .content import Content
from .folder import Folder
from .look import Look
from .steps import PHASES
from .ticks import round_ticks
from .tiles import tiled, weights_picture

#: Sizes of figures in pixels, on a page that is wide enough.
WIDE, HIGH, SMALL = 700, 320, 300

#: Beginnings of the names of errors' tables.
CURVES = ("error-", "trained-", "held-", "tested-")

#: Legends: pixels of a row, pixels of a sample line, number of columns, most letters of a run's name.
LEGEND_ROW, LEGEND_LINE, LEGEND_COLUMNS, LETTERS = 24, 36, 2, 16

#: Sets the colour of labels by CSS, as a legend computes its colours before it is part of the page.
LEGEND_STYLE = ".bk-label { color: var(--ink) !important; }"


@dataclass(frozen=True)
class Panel:
    """A figure with title and caption, as wide as the figure, or as the page if that is narrower."""

    title: str
    caption: str
    figure: Any


class Artist:
    """Draws the tables and pictures of a page's content."""

    def __init__(self, content: Content):
        self.content = content

    def table(self, name: str) -> ColumnDataSource:
        """Return the table of that name as a data source."""
        return ColumnDataSource(self.content.tables[name], name=name)

    def picture(self, name: str, values: np.ndarray, palette: Sequence[str], low: float, high: float) -> Any:
        """Return a figure of one picture, its first row at the top.

        Updates under `name` replace its values, not its shape.
        """
        rows, columns = values.shape
        scale = SMALL / max(rows, columns)
        shown = figure(
            width=max(40, round(columns * scale)),
            height=max(40, round(rows * scale)),
            sizing_mode="scale_width",
            x_range=(0, columns),
            y_range=(rows, 0),
            toolbar_location=None,
            tools="",
            min_border=0,
        )
        source = ColumnDataSource({"image": [values.astype(np.float32)]}, name=name)
        mapper = LinearColorMapper(palette=palette, low=low, high=high, nan_color=NO_VALUE)
        shown.image(
            "image", source=source, x=0, y=0, dw=columns, dh=rows, origin="top_left", color_mapper=mapper
        )
        shown.axis.visible = shown.grid.visible = False
        return shown

    def curves(self, **options: Any) -> Any:
        """Return a figure of lines, as wide as the page allows."""
        asked = {"width": WIDE, "height": 240, "toolbar_location": None, "tools": "hover"}
        shown = figure(sizing_mode="stretch_width", **asked | options)
        shown.toolbar.logo = None  # a link to Bokeh's site
        for formatter in (axis.formatter for axis in shown.xaxis):
            if isinstance(formatter, BasicTickFormatter):  # not of a logarithmic axis, nor of categories
                formatter.use_scientific = False
        return shown


def style(number: int) -> dict[str, Any]:
    """Return the line style of a run."""
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    return {"line_color": COLOURS[number % len(COLOURS)], "line_dash": dash, "line_width": 2}


def legend(shown: Any, entries: dict[str, list[Any]]) -> None:
    """Add a legend above the data; a click on an entry hides its renderers. entries: renderers, by name."""
    items = [LegendItem(label=value(name), renderers=drawn) for name, drawn in entries.items()]
    placed = Legend(
        items=items,
        orientation="horizontal",
        ncols=LEGEND_COLUMNS,
        click_policy="hide",
        label_text_font_size="12px",
        border_line_color=None,
        background_fill_color=None,
        location="bottom_left",
        stylesheets=[LEGEND_STYLE],
        glyph_width=LEGEND_LINE,
        margin=4,
    )
    shown.add_layout(placed, "above")
    shown.height += LEGEND_ROW * -(-len(items) // LEGEND_COLUMNS)


def by_run(shown: Any, runs: list[tuple[Folder, Look]], drawn: list[list[Any]]) -> None:
    """Add a legend of several runs, none for a single one. drawn: the renderers of each run."""
    if len(runs) > 1:
        names = [f"{n}: {_short(folder.name)}" for n, (folder, _) in enumerate(runs, start=1)]
        legend(shown, {name: each for name, each in zip(names, drawn, strict=True) if each})


def _short(name: str) -> str:
    """Return a name, with its middle left out if it is longer than `LETTERS`."""
    half = LETTERS // 2
    return name if len(name) <= LETTERS else f"{name[:half]}…{name[-half + 1 :]}"


def round_errors(content: Content, names: tuple[str, ...] = CURVES) -> tuple[float, ...]:
    """Return `round_ticks` of the tables whose names begin so."""
    tables = content.tables.items()
    return round_ticks([x for name, table in tables if name.startswith(names) for x in table["percent"]])


def label(axis: Any, ticks: tuple[float, ...]) -> None:
    """Label these numbers alone; for (), those that Bokeh chooses."""
    if ticks:
        axis.ticker = FixedTicker(ticks=list(ticks))
    axis.formatter = PrintfTickFormatter(format="%g")


def together(artist: Artist, runs: list[tuple[Folder, Look]]) -> dict[str, Panel]:
    """Return the figures that show all runs together."""
    return {
        "error": Panel(
            "Error",
            "Training error over the last samples, each predicted before it was learned (line), and over "
            "whole epochs (circles); held-out images, if any, after each epoch (diamonds); test images with "
            "the weights that were saved last (square). The axis is logarithmic: no error at all is drawn as "
            "half of one.",
            _errors(artist, runs),
        ),
        "rate": Panel(
            "Rate",
            "Training samples a second, on the board that trained: of the simulation itself where that was "
            "simulated.",
            _rates(artist, runs),
        ),
        "firing": Panel(
            "Firing",
            "How often a neuron of a layer spikes in a sweep of the free phase, in percent, over the test "
            "images.",
            _firing(artist, runs),
        ),
    } | {
        f"histogram-{n}": Panel(
            f"Weights of layer {n}",
            "How many of the weights, in percent, have which value now (coloured), and had it at the start "
            "(grey).",
            _histogram(artist, n, runs),
        )
        for n in range(1, 1 + max(len(seen.now) for _, seen in runs))
    }


def _errors(artist: Artist, runs: list[tuple[Folder, Look]]) -> Any:
    shown = artist.curves(
        height=HIGH,
        y_axis_type="log",
        x_axis_label="training samples",
        y_axis_label="error (%)",
        toolbar_location="above",
        tools="pan,box_zoom,wheel_zoom,reset,save,hover",
        tooltips=[("samples", "@samples{0,0}"), ("error", "@percent{0.00} %")],
    )
    marks = {"trained": ("epoch", "circle"), "held": ("held out", "diamond"), "tested": ("test", "square")}
    drawn = []
    for number in range(len(runs)):
        source = artist.table(f"error-{number}")
        kinds = {"training": shown.line("samples", "percent", source=source, **style(number))}
        for kind, (what, marker) in marks.items():
            kinds[what] = shown.scatter(
                "samples",
                "percent",
                source=artist.table(f"{kind}-{number}"),
                marker=marker,
                size=9,
                color=style(number)["line_color"],
                fill_alpha=0 if kind == "trained" else 1,
            )
        drawn.append(kinds)
    label(shown.yaxis, round_errors(artist.content))
    if len(runs) == 1:
        known = {name: [each] for name, each in drawn[0].items() if each.data_source.data["percent"]}
        legend(shown, known)
    by_run(shown, runs, [list(kinds.values()) for kinds in drawn])
    return shown


def _rates(artist: Artist, runs: list[tuple[Folder, Look]]) -> Any:
    tooltips = [("samples", "@samples{0,0}"), ("rate", "@rate{0,0.0}/s")]
    shown = artist.curves(x_axis_label="training samples", y_axis_label="samples/s", tooltips=tooltips)
    return _dotted(artist, runs, shown, "rate", "samples", "rate")


def _firing(artist: Artist, runs: list[tuple[Folder, Look]]) -> Any:
    most = max(len(folder.spec.bundles) for folder, _ in runs)
    shown = artist.curves(
        width=SMALL,
        x_range=[f"layer {n}" for n in range(1, most + 1)],
        y_axis_label="spikes a sweep (%)",
        tooltips=[("", "@layer: @percent{0.0} %")],
    )
    return _dotted(artist, runs, shown, "firing", "layer", "percent")


def _dotted(
    artist: Artist, runs: list[tuple[Folder, Look]], shown: Any, kind: str, across: str, up: str
) -> Any:
    """Draw the tables of a kind as lines with dots, from 0 on. across, up: names of columns."""
    shown.y_range.start = 0
    drawn = []
    for number in range(len(runs)):
        source = artist.table(f"{kind}-{number}")
        points = shown.scatter(across, up, source=source, color=style(number)["line_color"], size=6)
        drawn.append([shown.line(across, up, source=source, **style(number)), points])
    by_run(shown, runs, drawn)
    return shown


def _histogram(artist: Artist, n: int, runs: list[tuple[Folder, Look]]) -> Any:
    shown = artist.curves(
        width=SMALL, height=220, x_axis_label="weight", y_axis_label="weights (%)", tools=""
    )
    drawn: list[list[Any]] = []
    for number, (_, seen) in enumerate(runs):
        drawn.append([])
        if n <= len(seen.now):
            source = artist.table(f"histogram-{n}-{number}")
            shown.step("weight", "before", source=source, color=GREY, line_dash="dotted", mode="center")
            drawn[-1].append(shown.step("weight", "now", source=source, mode="center", **style(number)))
    by_run(shown, runs, drawn)
    return shown


def alone(artist: Artist, number: int, spec: Spec, seen: Look) -> dict[str, Panel]:
    """Return the figures of one run's weights from the image."""
    images = artist.content.images
    largest = max(float(np.abs(seen.before[0]).max()), float(np.abs(seen.now[0]).max()))
    first = spec.bundles[0]
    tile = f"{'unit' if first.full else 'channel'} of layer 1"
    colours = ", of red, green and blue from left to right" if first.pre.channels > 1 else ""
    panels = {}
    for name, what in (("before", "at the start"), ("now", "now")):
        key = f"kernels-{name}-{number}"
        shown = artist.picture(key, images[key], WEIGHTS, -largest, largest)
        caption = (
            f"A tile for each {tile}{colours}: red adds to its drive, blue takes from it, up to "
            f"{largest:.2g}."
        )
        panels[key] = Panel(f"Weights from the image {what}", caption, shown)
    return panels


def stepper(artist: Artist, number: int, seen: Look) -> list[dict[str, Panel]]:
    """Return the rows of a stepper's figures, empty and shaped for the first image; the script fills them."""
    recording = seen.steps[0]
    spec, rows = recording.spec, []
    for layer in spec.layers[1:]:
        row = {}
        for kind, palette, top in (("spikes", SPIKES, 1), ("xi", LEVELS, spec.formats.one)):
            key = f"step-{kind}-{layer.index}-{number}"
            shown = artist.picture(key, tiled(np.zeros(layer.shape), 0), palette, 0, top)
            row[key] = Panel(f"{_name(layer.index, spec)}: {kind}", "", shown)
        rows.append(row)
    lengths = {phase: len(layers[0].spikes) for phase, layers in recording.phases.items()}
    rows.append(
        {
            f"step-outputs-{number}": Panel(
                "xi of the outputs, sweep by sweep", "", _outputs(artist, number, lengths)
            )
        }
    )
    updates = {}
    for n, (bundle, update) in enumerate(zip(spec.bundles, recording.updates, strict=True), start=1):
        blank = np.zeros(weights_picture(bundle, update.weight).shape)
        shown = artist.picture(f"step-update-{n}-{number}", blank, WEIGHTS, -1, 1)
        updates[f"step-update-{n}-{number}"] = Panel(f"Update of layer {n}'s weights", "", shown)
    return [*rows, updates]


def _name(n: int, spec: Spec) -> str:
    """Return the name of a layer."""
    return f"Layer {n}" if n < len(spec.bundles) else f"Layer {n}, the {spec.classes} outputs"


def _outputs(artist: Artist, number: int, lengths: dict[str, int]) -> Any:
    shown = artist.curves(
        x_range=(-0.5, sum(lengths.values()) - 0.5),
        y_range=(-0.03, 1.15),
        x_axis_label="sweep",
        y_axis_label="xi",
        tooltips=[("class", "@name")],
    )
    empty = {"xs": [[]], "ys": [[]], "name": [""], "colour": [GREY], "width": [1]}
    source = ColumnDataSource(empty, name=f"step-lines-{number}")
    shown.multi_line("xs", "ys", source=source, line_color="colour", line_width="width")
    starts = np.cumsum([0, *lengths.values()]).tolist()[:-1]
    for edge in starts[1:]:
        shown.add_layout(Span(location=edge - 0.5, dimension="height", line_color=GREY, line_dash="dashed"))
    shown.add_layout(
        Span(location=0, dimension="height", line_color=COLOURS[2], line_width=2, name=f"step-mark-{number}")
    )
    for start, phase in zip(starts, lengths, strict=True):
        words = PHASES[phase].replace("nudged phase, ", "")
        shown.add_layout(Label(x=start - 0.3, y=1.14, text=words, text_font_size="12px", text_baseline="top"))
    return shown
