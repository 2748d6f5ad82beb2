"""Finished runs to look at, and a browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import nudge

from . import browser

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
    pytest.importorskip("selenium.webdriver")
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(browser.chromium())
        except browser.NoBrowserError as error:
            pytest.skip(str(error))
        yield opened
