"""Pages in a real browser: an empty console, and controls that work."""

import io
import time
from itertools import pairwise

import numpy as np
import PIL.Image
import pytest

import nudge
from nudge.host.view.save import save

from .browser import opened, until
from .screenshots import SHOWN, pictures


def complaints(chromium) -> list[str]:
    return [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]


def image(chromium, name: str) -> np.ndarray:
    """Return the values of a picture."""
    script = """
        for (const doc of Bokeh.documents) {
            const source = doc.get_model_by_name(arguments[0]);
            if (!source) continue;
            const picture = source.data.image[0];
            return [picture.shape, Array.from(picture, (x) => isNaN(x) ? null : x)];
        }"""
    shape, values = chromium.execute_script(script, name)
    return np.array(values, float).reshape(shape)


#: JavaScript: `blank(element)` is true if no canvas below the element, in shadow roots too, has two colours.
BLANK = """
    const canvases = (root) => [...root.querySelectorAll('*')].flatMap((element) =>
        [...(element.tagName === 'CANVAS' ? [element] : []),
         ...(element.shadowRoot ? canvases(element.shadowRoot) : [])]);
    const blank = (plot) => !canvases(plot).some((canvas) => {
        if (!canvas.width || !canvas.height) return false;
        const drawn = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const pixels = new Uint32Array(drawn.data.buffer);
        return pixels.some((pixel) => pixel !== pixels[0]);
    });"""


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    return save(runs, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def page(chromium, report):
    opened(chromium, report.as_uri())
    return chromium


def test_the_saved_file_draws_all_panels_and_fetches_nothing(page):
    check_drawn(page)
    assert len(page.find_elements("css selector", ".plot")) > 20


def test_any_images_and_classes_are_drawn(chromium, shapes, tmp_path):
    """Colour, few classes, and a network that begins with a dense layer."""
    opened(chromium, save([shapes], tmp_path / "report.html").as_uri())
    check_drawn(chromium)
    sizes = (
        "return [...document.querySelectorAll('.image, .misread img')].map((x) => "
        "`${x.naturalWidth}x${x.naturalHeight}`)"
    )
    assert set(chromium.execute_script(sizes)) == {"32x32", "9x8", "28x28", "20x16"}
    for stepper in chromium.find_elements("css selector", ".stepper"):
        stepper.find_element("css selector", ".next").click()
        assert "sweep 2 of 6" in stepper.find_element("css selector", ".where").text
    assert complaints(chromium) == []


def check_drawn(page):
    """Check that no plot is blank, nothing was fetched, and the console has no errors."""
    assert complaints(page) == []
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert (
        page.execute_script(
            f"{BLANK} return [...document.querySelectorAll('.plot')].filter(blank).map((x) => x.id)"
        )
        == []
    )


def test_the_stepper_shows_the_trace(page, runs):
    """Buttons and keys move the stepper; its pictures are the golden model's spikes and xi."""
    stepper = page.find_element("css selector", ".stepper")
    where = stepper.find_element("css selector", ".where")
    assert where.text.startswith("free phase, sweep 1 of 6. Spikes in layer 1:")
    first = int(nudge.Network.load(runs[0]).evaluate().predictions[0])
    stepper.find_element("css selector", ".next").click()
    assert where.text.startswith("free phase, sweep 2 of 6.")
    slider = stepper.find_element("css selector", ".sweep")
    for _ in range(7):
        slider.send_keys("\ue014")  # right
    assert where.text.startswith("nudged phase, +beta, sweep 3 of 4.")
    net = nudge.Network.load(runs[0])
    digits = nudge.data("embedded")
    chosen = stepper.find_element("css selector", ".choice").text.splitlines()[0]
    evaluation = net.evaluate()
    which = int(np.flatnonzero(evaluation.labels == evaluation.predictions)[0])
    assert chosen == f"1: labelled {evaluation.labels[which]}, read rightly"
    trace = net.trace(digits.test_images[which], int(digits.test_labels[which]))
    layer = trace.plus[1]
    spikes, xi = image(page, "step-spikes-1-0"), image(page, "step-xi-1-0")
    assert np.array_equal(spikes[:13, :13], layer.spikes[2, 0])
    assert np.array_equal(spikes[14:, 14:], layer.spikes[2, 3])
    assert np.isnan(spikes[13]).all()
    assert np.array_equal(xi[:13, 14:], layer.xi[2, 1])
    slider.send_keys("\ue010")  # End
    assert where.text.startswith("nudged phase, -beta, sweep 4 of 4.")
    slider.send_keys("\ue011")  # Home
    assert where.text.startswith("free phase, sweep 1 of 6.")
    assert first in range(10)
    assert complaints(page) == []


def test_it_plays_and_pauses(page):
    stepper = page.find_element("css selector", ".stepper")
    play, where = (stepper.find_element("css selector", f".{name}") for name in ("play", "where"))
    play.click()
    assert (play.text, play.get_attribute("aria-pressed"), where.get_attribute("aria-live")) == (
        "Pause",
        "true",
        "off",
    )
    until(lambda: "sweep 3 of 6" in where.text)
    play.click()
    assert (play.text, play.get_attribute("aria-pressed"), where.get_attribute("aria-live")) == (
        "Play",
        "false",
        "polite",
    )
    still = where.text
    time.sleep(0.7)
    assert where.text == still


def test_the_pictures_of_the_manual_show_something(page, report):
    found = pictures(page, report)
    assert set(found) == set(SHOWN)
    for png in found.values():
        image = PIL.Image.open(io.BytesIO(png))
        assert image.width > 600
        assert image.height > 300
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50


def test_another_image_can_be_chosen(page):
    stepper = page.find_element("css selector", ".stepper")
    image = stepper.find_element("css selector", ".image")
    before = image.get_attribute("src")
    choice = stepper.find_element("css selector", ".choice")
    choice.send_keys("\ue015")  # down
    until(lambda: image.get_attribute("src") != before)
    assert choice.get_property("selectedIndex") == 1


def test_a_keyboard_reaches_everything_and_everything_has_a_name(page):
    """Controls have labels, figures captions that they point to, and headings go down one level at a time."""
    unnamed = """return [...document.querySelectorAll(
        'button, select, input, progress, .stepper, figure, [role=region]')].filter((element) => {
        const by = element.getAttribute('aria-labelledby');
        const own = element.labels?.[0]?.textContent ?? element.ariaLabel ?? element.textContent;
        return !(by ? document.getElementById(by)?.textContent : own)?.trim();
    }).map((element) => element.outerHTML.slice(0, 80))"""
    assert page.execute_script(unnamed) == []
    levels = [int(each.tag_name[1]) for each in page.find_elements("css selector", "h1, h2, h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.execute_script("return document.documentElement.lang") == "en"
    assert page.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.length === new "
        "Set(ids).size"
    )
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    body = page.find_element("css selector", "body")
    reached: list[str] = []
    for _ in range(40):
        page.switch_to.active_element.send_keys("\ue004") if reached else body.send_keys("\ue004")  # Tab
        reached.append(
            page.execute_script("return document.activeElement.className || document.activeElement.tagName")
        )
    assert {"choice", "back", "play", "next", "sweep"} <= set(reached), reached
