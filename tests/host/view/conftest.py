"""Finished runs to look at, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nudge

#: Short phases and few samples: these tests are about pages, not about learning.
FEW: dict[str, Any] = {"samples": 60, "batch": 20, "free_steps": 6, "nudged_steps": 4}


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> list[Path]:
    """Two runs, of different networks."""
    folder = tmp_path_factory.mktemp("runs")
    nudge.Network.preset("tiny").fit(epochs=2, seed=1, held_out=40, out=folder / "one", **FEW)
    stages = (nudge.Conv(2, kernel=5), nudge.Dense(12), nudge.Dense(10))
    nudge.Network(stages, name="mine").fit(epochs=1, seed=2, out=folder / "two", **FEW)
    return [folder / "one", folder / "two"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, without a window. Skipped where there is none, which says how to get it."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # a container's root has no sandbox and little shared memory
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.set_page_load_timeout(120)
        opened.set_script_timeout(60)
        yield opened
