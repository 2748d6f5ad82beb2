"""Which shape `medium` should have: error against parameters, from `small` to what no board here holds."""

from dataclasses import replace

from golden.contract.presets import PRESETS
from golden.contract.shapes import Conv, Dense
from golden.contract.spec import CLASSES

from .held_out import AT_ONCE, Trial, study
from .page import Column
from .study import GIBIBYTE, Budget, Row

#: In `cpu` the last epoch's rates are a tenth of the first's.
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

#: Channels, channels and hidden units. The first is `small`, the last what `medium` was before a ULX3S had to hold it.
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
    """How many a row's network has."""
    return f"{SHAPES[rows[0]['shape']].parameters:,}"


def preset(rows: list[Row]) -> str:
    """Which one has a row's shape."""
    stages = SHAPES[rows[0]["shape"]].stages
    return next((spec.name for spec in PRESETS.values() if spec.stages == stages), "")


STUDY = study(
    "shape",
    BUDGETS,
    lambda budget: [Trial({"shape": name}, spec) for name, spec in SHAPES.items()],
    "Two convolutions and a hidden layer of these widths, all layers at once.",
    (Column("parameters", parameters), Column("preset", preset)),
)
