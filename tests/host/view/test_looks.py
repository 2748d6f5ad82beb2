"""Looks and use of a page in a browser: widths, the dark scheme, legends, tables, and the keyboard."""

import io
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import nudge
from nudge.host.view import colours, page
from nudge.host.view.save import save

from .browser import emulated, opened, until
from .conftest import NAMES, SEEDS

#: Widths of a telephone's and of two desktops' windows, in pixels.
WIDTHS = (400, 1280, 1920)


@pytest.fixture(scope="module")
def one(runs, tmp_path_factory):
    return save(runs[:1], tmp_path_factory.mktemp("one") / "one.html").as_uri()


@pytest.fixture(scope="module")
def several(seeds, tmp_path_factory):
    return save([seeds], tmp_path_factory.mktemp("several") / "several.html").as_uri()


@pytest.fixture(scope="module")
def named(shapes, tmp_path_factory):
    return save([shapes / "named"], tmp_path_factory.mktemp("named") / "named.html").as_uri()


def shown_in(chromium, script, *arguments):
    """Run a script in which `all(selector)` lists elements, those in shadow roots too; return its result."""
    deep = """const all = (selector, root = document) => [...root.querySelectorAll(selector),
        ...[...root.querySelectorAll('*')].flatMap(
            (e) => e.shadowRoot ? all(selector, e.shadowRoot) : [])];"""
    return chromium.execute_script(deep + script, *arguments)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("pages", ["one", "several", "named"])
def test_nothing_is_cut_off(chromium, request, pages, width):
    """Only tables scroll, each in its own box."""
    with emulated(chromium, width=width):
        opened(chromium, request.getfixturevalue(pages))
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
        outside = """return all('body *').filter((e) => {
            const {left, right, width, height} = e.getBoundingClientRect();
            const clipped = e.matches('.scroll *, .skip') ||
                e.getRootNode().host?.matches?.('.bk-GlyphRenderer');
            const within = left >= 0 && right <= document.documentElement.clientWidth + 1;
            return width && height && !clipped && !within;
        }).map((e) => `${e.tagName}.${e.className}`)"""
        assert shown_in(chromium, outside) == []
        widths = (
            "return [...document.querySelectorAll('.plot')].map((e) => [e.clientWidth, "
            "e.firstChild.clientWidth])"
        )
        assert all(drawn == place > 0 for place, drawn in chromium.execute_script(widths))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_figures_fill_the_page(chromium, one, width):
    """Those in each line of a row together, beside the gaps; and the text begins with the run's result."""
    filled = """return [...document.querySelectorAll('.row')].flatMap((row) => {
        const lines = Map.groupBy([...row.children], (e) => e.offsetTop);
        const wide = ([...line]) => line.reduce((sum, e) => sum + e.clientWidth, 0);
        return [...lines.values()].map((line) => wide(line) / row.clientWidth);
    })"""
    with emulated(chromium, width=width):
        opened(chromium, one)
        assert min(chromium.execute_script(filled)) > 0.85
        assert chromium.execute_script("return document.body.clientWidth") > 0.9 * width
        first = chromium.find_element("css selector", "h1 + *")
        assert first.text.replace("\n", " ").startswith("test error ")


def test_labels_of_errors_stand_apart_and_the_legend_names_what_is_drawn(chromium, tmp_path):
    nudge.Network.preset("tiny").fit(epochs=2, seed=1, out=tmp_path / "run")
    opened(chromium, save([tmp_path / "run"], tmp_path / "r.html").as_uri())
    labels = """const root = document.querySelector('#plot-error').firstChild;
        const view = Bokeh.index.roots.find((v) => v.el === root);
        const axis = view.views.find_one(view.model.left[0]);
        return axis.tick_coords.major[1].map((at) => view.frame.y_scale.compute(at)).filter(
            (at) => at >= 0 && at <= 1e4)"""
    places = sorted(chromium.execute_script(labels))
    assert len(places) >= 3
    assert min(after - before for before, after in pairwise(places)) > 16
    names = (
        "return all('.bk-label', document.querySelector('#plot-error').firstChild.shadowRoot)"
        ".map((e) => e.textContent)"
    )
    assert shown_in(chromium, names) == ["training", "epoch", "test"]


@pytest.mark.parametrize("width", WIDTHS[:2])
def test_64_named_classes_can_be_read(chromium, named, width):
    """Each name lies within its heading, in at most two lines, and stays in view when the matrix scrolls."""
    names = """return [...document.querySelectorAll('.confusion th')].map((head) => {
        const [box, text] = [head, head.firstChild].map((e) => e.getBoundingClientRect());
        const across = text.left >= box.left && text.right <= box.right;
        const within = across && text.top >= box.top && text.bottom <= box.bottom;
        const thin = Math.min(text.width, text.height);
        return [within && head.scrollWidth <= head.clientWidth, thin, box.width, box.height];
    })"""
    scrolled = """const places = ['.scroll:has(> .confusion)', '.confusion thead th', '.confusion tbody th'];
        const [box, column, row] = places.map((selector) => document.querySelector(selector));
        box.scrollTo(400, 500);
        const [at, top, left] = [box, column, row].map((e) => e.getBoundingClientRect());
        return [box.scrollLeft, box.scrollTop, top.top - at.top, left.left - at.left,
            left.right < at.right]"""
    with emulated(chromium, width=width):
        opened(chromium, named)
        found = chromium.execute_script(names)
        assert len(found) == 2 * len(NAMES)
        for within, thin, wide, high in found:
            assert within
            assert 10 < thin < 32
            assert min(wide, high) >= 20
        assert chromium.execute_script(scrolled) == [400, 500, 0, 0, True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_systems_scheme_is_followed_by_plots_too(chromium, one, scheme):
    with emulated(chromium, scheme=scheme):
        opened(chromium, one)
        paper, ink = (
            chromium.execute_script(f"return getComputedStyle(document.body).{what}")
            for what in ("getPropertyValue('--paper')", "getPropertyValue('--ink')")
        )
        assert (light(paper) > 0.9, light(ink) < 0.1) == (scheme == "light", scheme == "light")
        plot = chromium.find_element("css selector", "#plot-error")
        pixels = np.array(PIL.Image.open(io.BytesIO(plot.screenshot_as_png)).convert("RGB")).reshape(-1, 3)
        found, counts = np.unique(pixels, axis=0, return_counts=True)
        assert tuple(found[counts.argmax()]) == rgb(paper)
        assert rgb(ink) in set(map(tuple, found)), "the words of the axes"
        for label in shown_in(
            chromium, "return all('.bk-Legend .bk-label, .bk-label').map((e) => getComputedStyle(e).color)"
        ):
            assert tuple(map(int, re.findall(r"\d+", label))) == rgb(ink)


def test_a_scheme_that_changes_is_followed(chromium, one):
    with emulated(chromium, scheme="light"):
        opened(chromium, one)
        chromium.execute_script("window.before = true")
    with emulated(chromium, scheme="dark"):
        anew = "return !window.before && document.body?.dataset.ready"
        until(lambda: chromium.execute_script(anew) == "yes")


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.strip()[1:7]))


def light(colour: str) -> float:
    """Return the relative luminance of WCAG."""
    parts = np.array(rgb(colour)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_on_both_grounds():
    """The contrast is at least 3:1 for lines and marks, 4.5:1 for words (WCAG 2.1)."""
    style = (Path(page.__file__).parent / "page.css").read_text()
    schemes = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in style.split("@media")[:2]]
    assert schemes[0]["paper"] != schemes[1]["paper"]
    for scheme in schemes:
        for colour in (*colours.COLOURS, colours.GREY, scheme["faint"]):
            assert contrast(colour, scheme["paper"]) >= 3, colour
        for name in ("ink", "good", "bad", "link"):
            assert contrast(scheme[name], scheme["paper"]) >= 4.5, name
    assert len(set(colours.COLOURS)) * len(set(colours.DASHES)) >= 8


def test_legends_lie_beside_the_data_and_hide_it(chromium, several):
    opened(chromium, several)
    boxes = """return [...document.querySelectorAll('#learning ~ .row .plot')].map((plot) =>
        ['.bk-Legend', '.bk-CartesianFrame'].map((part) => {
            const box = all(part, plot.firstChild.shadowRoot)[0].getBoundingClientRect();
            return [box.top, box.bottom, box.height];
        }))"""
    found = shown_in(chromium, boxes)
    assert len(found) == 5, "error, rate, firing, and weights of two layers"
    for legend, data in found:
        assert legend[2] > 40
        assert legend[1] <= data[0] or legend[0] >= data[1]
    hidden = """const root = document.querySelector('#plot-error').firstChild;
        const view = Bokeh.index.roots.find((v) => v.el === root);
        return view.model.renderers.filter((r) => !r.visible).map((r) => r.data_source.name)"""
    second = "return all('.bk-item', document.querySelector('#plot-error').firstChild.shadowRoot)[1]"
    assert chromium.execute_script(hidden) == []
    shown_in(chromium, second).click()
    assert sorted(chromium.execute_script(hidden)) == ["error-1", "held-1", "tested-1", "trained-1"]
    shown_in(chromium, second).click()
    assert chromium.execute_script(hidden) == []


def test_a_table_of_runs_sorts_above_the_curves(chromium, several):
    opened(chromium, several)
    table = chromium.find_element("css selector", ".sorted")
    first_plot = chromium.find_element("css selector", ".plot")
    assert table.rect["y"] < first_plot.rect["y"]

    def column(name):
        heads = [
            head.text.split("\n")[0].rstrip(" ▲▼") for head in table.find_elements("css selector", "thead th")
        ]
        cells = [
            row.find_elements("css selector", "th, td")
            for row in table.find_elements("css selector", "tbody tr")
        ]
        return [row[heads.index(name)].text for row in cells]

    button = next(b for b in table.find_elements("css selector", "button") if b.text == "lr_scale")
    button.send_keys("\n")  # by the keyboard
    assert column("lr_scale") == ["0.5", "1.0", "1.0", "10.0"], "as numbers"
    button.click()
    assert column("lr_scale") == ["10.0", "1.0", "1.0", "0.5"]
    assert column("run")[0] == "quick"
    assert len(table.find_elements("css selector", "[aria-sort]")) == 1
    table.find_element("css selector", "button").click()
    assert column("run") == sorted(SEEDS)


def test_the_keyboard_is_at_the_stepper_in_a_few_keys(chromium, one):
    """The first Tab reaches a link that skips to the stepper; the focused element is always outlined."""
    opened(chromium, one)
    focus = chromium.switch_to.active_element

    def outlined():
        script = """const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
            return [s.outlineStyle, parseFloat(s.outlineWidth) >= 2,
                b.left >= 0 && b.top >= 0 && b.bottom <= innerHeight]"""
        return chromium.execute_script(script) == ["solid", True, True]

    focus.send_keys("\ue004")  # Tab
    focus = chromium.switch_to.active_element
    assert focus.text == "To the image, sweep by sweep"
    assert outlined()
    focus.send_keys("\n")
    chromium.switch_to.active_element.send_keys("\ue004")
    focus = chromium.switch_to.active_element
    assert focus.get_attribute("class") == "sweep"
    assert outlined()
    focus.send_keys("\ue014")  # right
    assert "sweep 2 of 6" in chromium.find_element("css selector", ".where").text
    for name in ("back", "play", "next", "choice"):
        chromium.switch_to.active_element.send_keys("\ue004")
        assert chromium.switch_to.active_element.get_attribute("class") == name
        assert outlined()


def test_progress_stands_at_the_top(chromium, one):
    opened(chromium, one)
    bar = chromium.find_element("css selector", "#progress progress")
    assert bar.get_property("position") == 1
    assert chromium.find_element("css selector", "#progress").text == "120 of 120 training samples"
    assert bar.rect["y"] < chromium.find_element("css selector", "main").rect["y"]
