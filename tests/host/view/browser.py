"""Debian's Chromium, without a window, and how a page is waited for."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds that a page may take to draw itself, on a machine that does other things too.
SECONDS = 120

#: What to do where there is none.
MISSING = "no Chromium: apt-get install chromium chromium-driver"


class NoBrowserError(Exception):
    """Chromium or its driver isn't installed; the message says how to get them."""


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser as selenium has it."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        raise NoBrowserError(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # a container's root has no sandbox and little shared memory
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.set_page_load_timeout(SECONDS)
        opened.set_script_timeout(60)
        yield opened


def opened(browser: Any, url: str) -> None:
    """The page, drawn."""
    browser.get_log("browser")
    browser.get(url)
    until(lambda: browser.execute_script("return document.body.dataset.ready") == "yes")


def until(holds: Callable[[], object]) -> None:
    """Wait for that; `AssertionError` if it doesn't come."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
