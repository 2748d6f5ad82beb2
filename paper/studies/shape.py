"""The shape of `medium`: error against parameters, from `small` to shapes too large for any board here."""

from dataclasses import replace

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import CLASSES
from nudge.paper.tables.page import Column
from nudge.paper.tables.study import GIBIBYTE, Budget, Row

from .held_out import AT_ONCE, Trial, study

#: In `cpu` the learning rates of the last epoch are a tenth of the first's.
BUDGETS = (
    Budget(
        "quick",
        1,
        GIBIBYTE,
        {"data": "embedded", "samples": 750, "held_out": 250, "epochs": 6, "decay": 0.8},
        threads=1,
    ),
    Budget(
        "cpu",
        2,
        2 * GIBIBYTE,
        {"data": "mnist", "samples": 55000, "held_out": 5000, "epochs": 8, "decay": 0.72, "shift": 1},
        threads=1,
    ),
)

#: Channels of both convolutions and hidden units. The first shape is `small`, the last is `medium` before it
#: was made to fit a ULX3S.
WIDTHS = ((8, 16, 32), (8, 16, 48), (8, 20, 48), (8, 24, 48), (12, 24, 48), (16, 32, 64))

SHAPES = {
    name: replace(
        PRESETS["medium"],
        name=name,
        stages=(Conv(first), Conv(second), Dense(hidden), Dense(CLASSES)),
        schedule=AT_ONCE,
    )
    for first, second, hidden in WIDTHS
    for name in [f"{first}-{second}-{hidden}"]
}


def parameters(rows: list[Row]) -> str:
    """Return the number of parameters of a row's network."""
    return f"{SHAPES[rows[0]['shape']].parameters:,}"


def preset(rows: list[Row]) -> str:
    """Return the name of the preset with a row's shape, or ""."""
    stages = SHAPES[rows[0]["shape"]].stages
    return next((spec.name for spec in PRESETS.values() if spec.stages == stages), "")


STUDY = study(
    "shape",
    BUDGETS,
    lambda budget: [Trial({"shape": name}, spec) for name, spec in SHAPES.items()],
    "Two convolutions and a hidden layer of these widths, all layers at once.",
    (Column("parameters", parameters), Column("preset", preset)),
)
