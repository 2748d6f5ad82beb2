"""A sweep's page in a browser: numbers, sorting, the pointer, narrow and wide windows, and news."""

import csv
import shutil

import pytest
from selenium.webdriver import ActionChains

from nudge.host.sweep import table
from nudge.host.sweep.table import COPY, TABLE, Figures, Row, State
from nudge.host.view.live import live
from nudge.host.view.save import save
from tests.host.view.browser import emulated, opened, until
from tests.host.view.test_browser import BLANK, complaints
from tests.host.view.test_looks import shown_in

from .conftest import VALUES, add

#: Widths of windows, in pixels.
WIDTHS = (400, 1400)


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory):
    return save([finished], tmp_path_factory.mktemp("sweep") / "sweep.html").as_uri()


def column(browser, number, name):
    """Return the texts of a column of a table, from top to bottom."""
    script = """const table = document.querySelectorAll('.sorted')[arguments[0]];
        const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
        return [...table.tBodies[0].rows].map((row) => row.cells[heads.indexOf(arguments[1])].textContent)"""
    return browser.execute_script(script, number, name)


def columns_of(browser, name):
    """Return the columns of a figure's data source."""
    script = """for (const doc of Bokeh.documents) {
        const source = doc.get_model_by_name(arguments[0]);
        if (!source) continue;
        const columns = Object.entries(source.data);
        return Object.fromEntries(columns.map(([key, x]) => [key, Array.from(x)]));
    }"""
    return browser.execute_script(script, name)


def test_the_numbers_of_the_page_are_those_of_the_table(chromium, report, finished):
    opened(chromium, report)
    assert complaints(chromium) == []
    with (finished / TABLE).open() as stream:
        rows = {row["run"]: row for row in csv.DictReader(stream)}
    names = column(chromium, 0, "run")
    for title, key in (
        ("held-out error (%)", "held_out_percent"),
        ("training error (%)", "training_percent"),
    ):
        shown = dict(zip(names, column(chromium, 0, title), strict=True))
        for name, row in rows.items():
            assert shown[name] == (f"{float(row[key]):.2f}" if row[key] else ""), (name, key)
    points = columns_of(chromium, "points-0")
    assert {
        name: f"{percent:.6g}" for name, percent in zip(points["run"], points["percent"], strict=True)
    } == {name: row["held_out_percent"] for name, row in rows.items() if row["held_out_percent"]}
    states = dict(zip(names, column(chromium, 0, "state"), strict=True))
    assert (states["e"], states["f"], states["g"]) == ("failed", "pruned", "in progress")
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert (
        shown_in(
            chromium, "return all('a').map((a) => a.getAttribute('href')).filter((to) => !to.startsWith('#'))"
        )
        == []
    )
    assert (
        chromium.execute_script(
            f"{BLANK} return [...document.querySelectorAll('.plot')].filter(blank).length"
        )
        == 0
    )
    assert len(chromium.find_elements("css selector", ".plot")) == 4


def test_every_column_sorts_and_empty_cells_are_last(chromium, report):
    opened(chromium, report)
    errors = column(chromium, 0, "held-out error (%)")
    assert errors == [*sorted(filter(None, errors), key=float), ""], "at first by the error"
    for button in chromium.find_elements("css selector", ".sorted")[0].find_elements(
        "css selector", "button"
    ):
        for descending in (False, True):
            button.click()
            name = button.text
            cells = column(chromium, 0, name)
            known = list(filter(None, cells))
            number = all(cell.replace(".", "").isdigit() for cell in known)
            assert known == sorted(known, key=float if number else str, reverse=descending), name
            assert cells[: len(known)] == known, f"{name}: an empty cell above others"
    means = [float(cell.partition(" ")[0]) for cell in column(chromium, 1, "held-out error (%)")]
    assert means == sorted(means)


def test_the_pointer_names_the_run(chromium, report):
    with emulated(chromium, width=1400):
        opened(chromium, report)
        curves = columns_of(chromium, "curves")
        number = curves["run"].index("f")
        plot = chromium.find_element("css selector", "#plot-curves")
        chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
        script = """const drawn = document.querySelector('#plot-curves').firstChild;
            const view = Bokeh.index.roots.find((v) => v.el === drawn);
            return [view.frame.x_scale.compute(arguments[0]), view.frame.y_scale.compute(arguments[1])]"""
        x, y = chromium.execute_script(script, curves["xs"][number][0], curves["ys"][number][0])
        across, down = int(x - plot.size["width"] / 2), int(y - plot.size["height"] / 2)
        ActionChains(chromium).move_to_element_with_offset(plot, across, down).perform()
        tips = (
            "return all('.bk-Tooltip').map((tip) => all('*', tip.shadowRoot).map((e) => "
            "e.textContent).join(' ')).join()"
        )
        until(lambda: "pruned, lr-scale 0.1, board <i>sim</i>, seed 1" in shown_in(chromium, tips))


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_or_overlaps(chromium, report, width):
    """Only tables scroll, each in its own box; texts lie beside each other."""
    with emulated(chromium, width=width):
        opened(chromium, report)
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
        outside = """return all('body *').filter((e) => {
            const {left, right, width, height} = e.getBoundingClientRect();
            const clipped = e.matches('.scroll *') || e.getRootNode().host?.matches?.('.bk-GlyphRenderer');
            const within = left >= 0 && right <= document.documentElement.clientWidth + 1;
            return width && height && !clipped && !within;
        }).map((e) => `${e.tagName}.${e.className}`)"""
        assert shown_in(chromium, outside) == []
        over = """const kinds = 'h1, h2, p, .scroll, figcaption, .legend li, .plot';
            const texts = [...document.querySelectorAll(kinds)];
            const boxes = texts.map((e) => [e, e.getBoundingClientRect()]);
            return boxes.flatMap(([e, a], i) => boxes.slice(i + 1).filter(([, b]) =>
                a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
                .map(([f]) => `${e.tagName} ${e.id} over ${f.tagName} ${f.id}`))"""
        assert chromium.execute_script(over) == []
        widths = (
            "return [...document.querySelectorAll('.plot')].map((e) => [e.clientWidth, "
            "e.firstChild.clientWidth])"
        )
        assert all(drawn == place > 0 for place, drawn in chromium.execute_script(widths))


def test_a_sweep_without_runs_and_one_with_a_single_run_are_drawn(chromium, tmp_path):
    (tmp_path / COPY).touch()
    opened(chromium, save([tmp_path], tmp_path / "none.html").as_uri())
    assert chromium.find_element("css selector", "#progress").text == "no run has begun yet"
    table.write(tmp_path / TABLE, [Row("one", State.DONE, {"batch": 8}, Figures(1, 50.0, None, 12.5, 1.0))])
    opened(chromium, save([tmp_path], tmp_path / "one.html").as_uri())
    assert column(chromium, 0, "test error (%)") == ["12.50"]
    table.write(tmp_path / TABLE, [Row("one", State.FAILED, {"batch": 8}, error="no")])
    opened(chromium, save([tmp_path], tmp_path / "failed.html").as_uri())
    assert column(chromium, 0, "message") == ["no"]
    assert complaints(chromium) == []


def test_a_row_that_is_added_comes_to_the_open_page(chromium, finished, tmp_path):
    """The page of `nudge sweep --live` waits for the sweep to begin, then follows it."""
    folder = tmp_path / "mine"
    with live(folder) as page:
        chromium.get_log("browser")
        chromium.get(page.address)
        assert "hasn't begun yet" in chromium.page_source
        shutil.copytree(finished, tmp_path / "ready")
        (tmp_path / "ready").rename(folder)
        until(lambda: chromium.execute_script("return document.body.dataset.ready") == "yes")
        chromium.execute_script("window.before = true")
        assert "6 of 12 runs have ended" in chromium.find_element("css selector", "#progress").text
        smallest = (
            min(row.figures.percent for row in table.read(folder / TABLE) if row.figures.percent is not None)
            - 1
        )
        add(folder, Row("g", State.DONE, VALUES["d"], Figures(3, 50.0, smallest, None, 1.0)))
        until(lambda: "7 of 12 runs have ended" in chromium.find_element("css selector", "#progress").text)
        assert column(chromium, 0, "held-out error (%)")[0] == f"{smallest:.2f}"
        assert column(chromium, 0, "run")[0] == "g"
        assert f"g: {smallest:.2f} % held-out error" in chromium.find_element("css selector", ".legend").text
        until(lambda: "g" in columns_of(chromium, "points-0")["run"])
        until(lambda: chromium.find_element("css selector", "#status").text.startswith("Live, "))
        assert chromium.execute_script("return window.before"), "the page was loaded again"
        assert complaints(chromium) == []
