"""Finished runs to look at, and a browser."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nudge
from nudge.golden.contract.shapes import Input
from tests.sets import noise

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


#: Names of as many classes as a network can have, long ones among them.
NAMES = [f"class number {n}" + " of many things" * (n % 5 == 0) for n in range(64)]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """A folder of runs: other images than MNIST's, few classes, 64 named ones, a network of dense layers."""
    folder = tmp_path_factory.mktemp("shapes")
    colour = {"channels": 3, "height": 32, "width": 32}
    nudge.Network((nudge.Conv(4, kernel=5), nudge.Dense(10)), input=colour).fit(out=folder / "colour", **FEW)
    grey = {"height": 8, "width": 9, "classes": 3}
    nudge.Network((nudge.Conv(3), nudge.Dense(3)), input=grey).fit(out=folder / "grey", **FEW)
    nudge.Network((nudge.Dense(20), nudge.Dense(10))).fit(out=folder / "dense", **FEW)
    many = Input(3, 16, 20, 64)
    np.savez(folder / "many.npz", classes=NAMES, **noise(many, train=FEW["samples"], test=many.classes))
    stages = (nudge.Conv(5, kernel=5, padding=2), nudge.Dense(many.classes))
    nudge.Network(stages, input=asdict(many)).fit(folder / "many.npz", out=folder / "named", **FEW)
    return folder


#: Options of the runs of `seeds`, by name.
SEEDS: dict[str, dict[str, Any]] = {
    "a": {"seed": 1},
    "b": {"seed": 2},
    "quick": {"seed": 1, "lr_scale": 10},
    "slow": {"seed": 1, "lr_scale": 0.5},
}


@pytest.fixture(scope="session")
def seeds(tmp_path_factory) -> Path:
    """A folder of runs, two of which differ in the seed alone."""
    folder = tmp_path_factory.mktemp("seeds")
    for name, options in SEEDS.items():
        nudge.Network.preset("tiny").fit(epochs=1, held_out=40, out=folder / name, **FEW | options)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, without a window. Without it, tests are skipped with a hint how to install it."""
    pytest.importorskip("selenium.webdriver")
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(browser.chromium())
        except browser.NoBrowserError as error:
            pytest.skip(str(error))
        yield opened
