"""Order of the layers and number of steps: error of `small` for each order, T and M.

Learning rates, beta and gain are then varied at one of these schedules.

A seed that ends well behind the others of its row disqualifies a schedule, so the worst seed is shown beside
the mean.
"""

from dataclasses import replace
from typing import Any

from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import Schedule
from nudge.paper.tables.page import Column
from nudge.paper.tables.study import GIBIBYTE, Budget, Row

from .held_out import CPU, QUICK, Trial, study

BASE = PRESETS["small"]

#: The last epoch's learning rates are a fifth of the first's; in `long`, which trains as presets are trained,
#: a twentieth.
BUDGETS = (
    Budget("quick", 1, GIBIBYTE, QUICK),
    Budget("cpu", 3, 2 * GIBIBYTE, CPU),
    Budget(
        "long",
        3,
        2 * GIBIBYTE,
        {
            "data": "mnist",
            "samples": 55000,
            "held_out": 5000,
            "epochs": 30,
            "decay": 0.9,
            "shift": 1,
            "lr_scale": 0.7,
        },
    ),
)


def trial(
    order: str, free: int, nudged: int, window: int, change: str = "none", gain: float = 1.0, **plan: Any
) -> Trial:
    """Return `small` with this schedule, and a change of its initial weights or of its plan. window: M."""
    spec = replace(
        BASE,
        schedule=Schedule(free, nudged, window.bit_length() - 1, BASE.schedule.decay_shift, order),
        learning=replace(BASE.learning, gain=gain),
    )
    return Trial({"order": order, "T": f"{free}/{nudged}", "M": str(window), "change": change}, spec, plan)


#: The schedule at which learning rates, beta and gain are varied.
VARIED = ("odd-even", 16, 8, 4)

TRIALS = (
    trial("all", 32, 16, 8),
    trial("all", 16, 8, 4),
    trial("all", 12, 6, 4),
    trial("odd-even", 32, 16, 8),
    *(trial("odd-even", 16, 8, window) for window in (2, 4, 8)),
    *(
        trial("odd-even", *steps, window)
        for steps in ((12, 6), (10, 6), (12, 4), (8, 4))
        for window in (2, 4)
    ),
    *(trial(*VARIED, f"rates {factor:g}", lr_scale=factor) for factor in (0.5, 0.7, 1.4, 2.0)),
    *(trial(*VARIED, f"beta {beta:g}", beta=beta) for beta in (0.25, 0.75, 1.0)),
    *(trial(*VARIED, f"gain {gain:g}", gain) for gain in (0.7, 1.4)),
)


def steps(rows: list[Row]) -> str:
    """Return the number of steps of a training sample."""
    free, nudged = map(int, rows[0]["T"].split("/"))
    return str(free + 2 * nudged)


def worst(rows: list[Row]) -> str:
    """Return the held-out error of the worst seed."""
    return f"{max(float(row['error_percent']) for row in rows):.2f}"


STUDY = study(
    "schedule",
    BUDGETS,
    lambda budget: TRIALS,
    "`small`. T: steps or sweeps, free/nudged.",
    (Column("steps of a sample", steps), Column("worst", worst)),
)
