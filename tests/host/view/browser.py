"""Debian's Chromium, without a window, and functions that wait for a page."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds that a page may take to draw itself, on a machine that does other things too.
SECONDS = 120

#: Error message if there is no Chromium.
MISSING = "no Chromium: apt-get install chromium chromium-driver"


class NoBrowserError(Exception):
    """Chromium or its driver isn't installed; the message says how to get them."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium, and yield selenium's driver of it."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        raise NoBrowserError(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # root in a container has no sandbox and little shared memory
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1300,1000",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.set_page_load_timeout(SECONDS)
        opened.set_script_timeout(60)
        yield opened


@contextmanager
def emulated(browser: Any, *, width: int = 1300, scheme: str = "light") -> Iterator[None]:
    """Emulate a window of another width, and a system with another colour scheme."""
    window = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def opened(browser: Any, url: str) -> None:
    """Open a page, and wait until it is drawn."""
    browser.get_log("browser")
    browser.get(url)
    until(lambda: browser.execute_script("return document.body.dataset.ready") == "yes")


def until(holds: Callable[[], object]) -> None:
    """Wait until `holds()` is true; raise `AssertionError` after `SECONDS`."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
