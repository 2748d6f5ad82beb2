"""The figures, as Bokeh draws them in a browser. Each reads tables and pictures of `Content` by name, and is renewed so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, LinearColorMapper, PrintfTickFormatter, Span
from bokeh.palettes import Colorblind, Greys256, Inferno256, RdBu11
from bokeh.plotting import figure
from bokeh.transform import linear_cmap

from golden.contract.spec import CLASSES, Spec

from .content import PHASES, Content
from .folder import Folder
from .look import Look
from .tiles import matrix, tiled

#: Of the runs.
COLOURS = Colorblind[8]
GREY = "#808080"
NO_VALUE = "#e8e8e8"

#: Pixels.
WIDE, HIGH, SMALL = 620, 320, 300


@dataclass(frozen=True)
class Panel:
    """A figure with its words."""

    title: str
    caption: str
    figure: Any


class Artist:
    """Draws what is in a page's content."""

    def __init__(self, content: Content):
        self.content = content

    def table(self, name: str) -> ColumnDataSource:
        """Columns of that name."""
        return ColumnDataSource(self.content.tables[name], name=name)

    def picture(self, name: str, values: np.ndarray, palette: Any, low: float, high: float, **options: Any) -> Any:
        """A figure that is one picture, its first row at the top. Its values can be renewed under `name`, not its shape."""
        height, width = values.shape
        shown = figure(x_range=(0, width), y_range=(0, height), toolbar_location=None, tools="", match_aspect=True, **options)
        source = ColumnDataSource({"image": [np.flipud(values).astype(np.float32)]}, name=name)
        mapper = LinearColorMapper(palette=palette, low=low, high=high, nan_color=NO_VALUE)
        shown.image("image", source=source, x=0, y=0, dw=width, dh=height, color_mapper=mapper)
        shown.axis.visible = shown.grid.visible = False
        return shown

    def bar(self, shown: Any, form: str = "%g") -> None:
        """A scale of colours beside a picture."""
        mapper = shown.renderers[0].glyph.color_mapper
        formatter = PrintfTickFormatter(format=form)
        shown.add_layout(ColorBar(color_mapper=mapper, ticker=BasicTicker(), formatter=formatter, width=10, padding=4), "right")


def together(artist: Artist, runs: list[tuple[Folder, Look]]) -> dict[str, Panel]:
    """Figures that lay all runs over one another."""
    names = [folder.name for folder, _ in runs]
    return {
        "error": Panel(
            "Error",
            "Training error over the last samples, each predicted before it was learned, and over whole epochs; "
            "held-out images after each epoch; test images with the weights that were saved last. The axis is "
            "logarithmic: no error at all is drawn as half of one.",
            _errors(artist, names),
        ),
        "rate": Panel(
            "Rate",
            "Training samples a second, on the board that trained: of the simulation itself where that was simulated.",
            _rates(artist, names),
        ),
        "firing": Panel(
            "Firing",
            "How often a neuron of a layer spikes in a sweep of the free phase, in percent, over the test images.",
            _firing(artist, runs),
        ),
    } | {
        f"histogram-{n}": Panel(
            f"Weights of layer {n}",
            "How many of the weights, in percent, have which value now (coloured), and had it at the start (grey).",
            _histogram(artist, n, names, runs),
        )
        for n in range(1, 1 + max(len(seen.now) for _, seen in runs))
    }


def _errors(artist: Artist, names: list[str]) -> Any:
    shown = figure(
        width=WIDE, height=HIGH, y_axis_type="log", x_axis_label="training samples", y_axis_label="error (%)",
        tools="pan,box_zoom,wheel_zoom,reset,save", tooltips=[("samples", "@samples{0,0}"), ("error", "@percent{0.00} %")],
    )  # fmt: skip
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        shown.line("samples", "percent", source=artist.table(f"error-{number}"), color=colour, legend_label=f"{name}: training")
        for kind, marker, what in (
            ("trained", "circle", "epoch"),
            ("held", "diamond", "held out"),
            ("tested", "square", "test"),
        ):
            shown.scatter(
                "samples", "percent", source=artist.table(f"{kind}-{number}"), marker=marker, size=9, fill_color="white"
                if kind == "trained" else colour, line_color=colour, legend_label=f"{name}: {what}",
            )  # fmt: skip
    shown.xaxis.formatter.use_scientific = False
    shown.yaxis.formatter = PrintfTickFormatter(format="%g")
    shown.legend.click_policy, shown.legend.label_text_font_size = "hide", "11px"
    shown.add_layout(shown.legend[0], "right")
    return shown


def _rates(artist: Artist, names: list[str]) -> Any:
    shown = figure(
        width=WIDE, height=240, x_axis_label="training samples", y_axis_label="samples/s", toolbar_location=None,
        tools="hover", tooltips=[("samples", "@samples{0,0}"), ("rate", "@rate{0,0.0}/s")],
    )  # fmt: skip
    shown.y_range.start = 0
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        source = artist.table(f"rate-{number}")
        shown.line("samples", "rate", source=source, color=colour, legend_label=name)
        shown.scatter("samples", "rate", source=source, color=colour, size=4)
    shown.xaxis.formatter.use_scientific = False
    return shown


def _firing(artist: Artist, runs: list[tuple[Folder, Look]]) -> Any:
    most = max(len(folder.spec.bundles) for folder, _ in runs)
    shown = figure(
        width=SMALL, height=240, x_range=[f"layer {n}" for n in range(1, most + 1)], y_axis_label="spikes a sweep (%)",
        toolbar_location=None, tools="hover", tooltips=[("", "@layer: @percent{0.0} %")],
    )  # fmt: skip
    shown.y_range.start = 0
    for number, (folder, _) in enumerate(runs):
        colour, source = COLOURS[number % len(COLOURS)], artist.table(f"firing-{number}")
        shown.scatter("layer", "percent", source=source, color=colour, size=10, legend_label=folder.name)
        shown.line("layer", "percent", source=source, color=colour)
    return shown


def _histogram(artist: Artist, n: int, names: list[str], runs: list[tuple[Folder, Look]]) -> Any:
    shown = figure(width=SMALL, height=220, x_axis_label="weight", y_axis_label="weights (%)", toolbar_location=None, tools="")
    for number, (name, (_, seen)) in enumerate(zip(names, runs, strict=True)):
        if n > len(seen.now):
            continue
        source = artist.table(f"histogram-{n}-{number}")
        shown.step("weight", "before", source=source, color=GREY, line_dash="dotted", mode="center")
        shown.step("weight", "now", source=source, color=COLOURS[number % len(COLOURS)], mode="center", legend_label=name)
    shown.legend.visible = len(names) > 1
    return shown


def alone(artist: Artist, number: int, seen: Look) -> dict[str, Panel]:
    """Figures of one run's weights and answers."""
    images = artist.content.images
    largest = max(float(np.abs(seen.before[0]).max()), float(np.abs(seen.now[0]).max()))
    kernels = {}
    for name, what in (("before", "at the start"), ("now", "now")):
        key = f"kernels-{name}-{number}"
        shown = artist.picture(key, images[key], RdBu11, -largest, largest, width=SMALL, height=SMALL - 40)
        artist.bar(shown, "%.2g")
        caption = f"The first layer's kernels {what}: red adds to the drive of its neurons, blue takes from it."
        kernels[key] = Panel(f"Kernels {what}", caption, shown)
    misread = f"misread-{number}"
    gallery = artist.picture(misread, images[misread], Greys256[::-1], 0, 255, width=WIDE, height=250)
    names = artist.table(f"names-{number}")
    gallery.text("x", "y", "text", source=names, text_font_size="11px", text_color="#b00000", text_baseline="top")
    return kernels | {
        f"confusion-{number}": Panel(
            "Confusion", "Test images by their label (rows) and by what they are read as (columns).", _confusion(artist, number)
        ),
        misread: Panel("Misread", "The first test images that are misread.", gallery),
    }


def _confusion(artist: Artist, number: int) -> Any:
    classes = [str(n) for n in range(CLASSES)]
    shown = figure(
        width=SMALL + 60, height=SMALL + 40, x_range=classes, y_range=classes[::-1], x_axis_label="read as",
        y_axis_label="label", toolbar_location=None, tools="hover", tooltips=[("", "@label read as @said: @count")],
    )  # fmt: skip
    source = artist.table(f"confusion-{number}")
    colour = linear_cmap("share", Greys256[::-1], 0, 1)
    shown.rect("said", "label", 1, 1, source=source, fill_color=colour, line_color="#d0d0d0")
    shown.text("said", "label", "text", source=source, text_color="ink", text_align="center", text_baseline="middle",
               text_font_size="10px")  # fmt: skip
    shown.grid.visible = False
    return shown


def stepper(artist: Artist, number: int, seen: Look) -> list[dict[str, Panel]]:
    """The figures that a stepper's script fills, sweep by sweep, row by row: made for the first digit, empty."""
    digit, spec = artist.content.steps[f"steps-{number}"][0], seen.steps[0].spec
    blank = np.zeros((28, 28), np.float32)
    image = artist.picture(f"step-image-{number}", blank, Greys256[::-1], 0, 255, width=170, height=170)
    rows = [{f"step-image-{number}": Panel("Image", "", image)}]
    for layer in spec.layers[1:]:
        n, shape = layer.index, tiled(np.zeros(layer.shape), 0).shape
        row = rows[0] if n == 1 else {}
        high = max(40, min(SMALL, round(SMALL * shape[0] / shape[1])))
        for kind, palette, top in (("spikes", Greys256[::-1], 1), ("xi", Inferno256, 1)):
            key = f"step-{kind}-{n}-{number}"
            shown = artist.picture(key, np.zeros(shape), palette, 0, top, width=SMALL, height=high)
            row[key] = Panel(f"{_name(n, spec)}: {kind}", "", shown)
        if n > 1:
            rows.append(row)
    rows.append({f"step-outputs-{number}": Panel("xi of the outputs, sweep by sweep", "", _outputs(number, digit))})
    updates = {}
    for n, update in enumerate(seen.steps[0].updates, start=1):
        empty = np.zeros(matrix(update.weight).shape)
        shown = artist.picture(f"step-update-{n}-{number}", empty, RdBu11, -1, 1, width=SMALL, height=200)
        updates[f"step-update-{n}-{number}"] = Panel(f"Update of layer {n}'s weights", "", shown)
    return [*rows, updates]


def _name(n: int, spec: Spec) -> str:
    """What a layer is called."""
    return f"Layer {n}" if n < len(spec.bundles) else f"Layer {n}, the outputs 0 to 9"


def _outputs(number: int, digit: dict[str, Any]) -> Any:
    lengths = list(digit["phases"].values())
    total = sum(lengths)
    shown = figure(
        width=WIDE, height=240, x_range=(-0.5, total - 0.5), y_range=(-0.03, 1.15), x_axis_label="sweep",
        y_axis_label="xi", toolbar_location=None, tools="hover", tooltips=[("class", "@name")],
    )  # fmt: skip
    empty = {"xs": [[]], "ys": [[]], "name": [""], "colour": [GREY], "width": [1]}
    source = ColumnDataSource(empty, name=f"step-lines-{number}")
    shown.multi_line("xs", "ys", source=source, line_color="colour", line_width="width")
    for edge in np.cumsum(lengths)[:-1]:
        shown.add_layout(Span(location=float(edge) - 0.5, dimension="height", line_color="#404040", line_dash="dashed"))
    shown.add_layout(Span(location=0, dimension="height", line_color="#d55e00", line_width=2, name=f"step-mark-{number}"))
    starts = [0, *np.cumsum(lengths)[:-1].tolist()]
    words = [PHASES[name].replace("nudged phase, ", "") for name in digit["phases"]]
    labels = ColumnDataSource({"x": [start - 0.3 for start in starts], "y": [1.14] * len(starts), "text": words})
    shown.text("x", "y", "text", source=labels, text_font_size="11px", text_baseline="top", text_color="#404040")
    return shown
