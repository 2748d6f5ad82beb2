"""A sweep's folder: tiny runs and a table, as `nudge sweep` leaves them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import nudge
from nudge.golden.training.metrics import read_epochs
from nudge.host.sweep import table
from nudge.host.sweep.table import COPY, RUNS, TABLE, Figures, Row, State
from tests.host.view.conftest import FEW

#: The sweep's file: it asks for one run more than have begun.
FILE = """
[train]
preset = "tiny"
[vary]
lr-scale = [0.1, 2]
board = ["golden", "<i>sim</i>"]
seed = [1, 2, 3]
"""

#: Message of a run that failed.
MESSAGE = "bundle 1: learning rate must be 0 or 3.8147e-05..4.99992 at beta 0.5, batch 20, not <b>7</b>"

#: Varied values of each run; "g" is still in progress, so it has no row.
VALUES: dict[str, dict[str, Any]] = {
    "a": {"lr-scale": 0.1, "board": "golden", "seed": 1},
    "b": {"lr-scale": 0.1, "board": "golden", "seed": 2},
    "c": {"lr-scale": 2, "board": "golden", "seed": 1},
    "d": {"lr-scale": 2, "board": "golden", "seed": 2},
    "e": {"lr-scale": 2, "board": "<i>sim</i>", "seed": 1},
    "f": {"lr-scale": 0.1, "board": "<i>sim</i>", "seed": 1},
    "g": {"lr-scale": 2, "board": "golden", "seed": 3},
}

#: How these ended; the others are done.
ENDED = {"e": State.FAILED, "f": State.PRUNED}


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of a sweep with held-out images."""
    folder = tmp_path_factory.mktemp("sweep") / "mine"
    rows = []
    for name, values in VALUES.items():
        state = ENDED.get(name, State.DONE)
        options: dict[str, Any] = FEW | {
            "seed": values["seed"],
            "lr_scale": values["lr-scale"],
            "held_out": 40,
        }
        if state is State.PRUNED:
            options["callbacks"] = [lambda run: len(run.epochs) == 1]
        if state is State.FAILED:
            rows.append(Row(name, state, values, error=MESSAGE))
            continue
        run = folder / RUNS / name
        nudge.Network.preset("tiny").fit(epochs=3, out=run, **options)
        last = read_epochs(run / "epochs.csv", 3)[-1]
        figures = Figures(
            last.epoch, last.training_error_percent, last.held_out_error_percent, None, last.seconds
        )
        if name != "g":
            rows.append(Row(name, state, values, figures))
    (folder / COPY).write_text(FILE)
    table.write(folder / TABLE, rows)
    return folder


@pytest.fixture
def growing(finished, tmp_path) -> Path:
    """A copy, which a test can change."""
    shutil.copytree(finished, tmp_path / "growing")
    return tmp_path / "growing"


def add(folder: Path, row: Row) -> None:
    """Add a row to a sweep's table."""
    table.write(folder / TABLE, [*table.read(folder / TABLE), row])
