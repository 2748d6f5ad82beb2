"""Bits and steps that learning needs: error against each width of the number formats, T and M, one at a time.

The base is `held_out.STUDIED`. The formats of `golden.contract` are chosen by these errors.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from nudge.golden.contract.formats import Formats
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.spec import Spec
from nudge.golden.training.plan import Plan
from nudge.paper.tables.study import GIBIBYTE, Budget

from .held_out import CPU, QUICK, STUDIED, Trial, plan_facts, study

BASE = STUDIED

#: The last epoch's learning rates are a fifth of the first's.
BUDGETS = (Budget("quick", 1, GIBIBYTE, QUICK), Budget("cpu", 3, 2 * GIBIBYTE, CPU))


def with_formats(formats: Formats) -> Spec:
    """Return the base in other number formats."""
    return replace(BASE, formats=formats)


def with_master(bits: int) -> Spec:
    """Return the base with masters of `bits` bits, 3 of them for the sign and a batch's sum."""
    f = BASE.formats
    return with_formats(
        replace(f, master_bits=bits, master_fraction=bits - (f.master_bits - f.master_fraction))
    )


def with_steps(free: int = 0, nudged: int = 0, window: int = 0) -> Spec:
    """Return the base with other phases or another M; 0 keeps the base's value."""
    s = BASE.schedule
    window_log2 = window.bit_length() - 1 if window else s.window_log2
    return replace(BASE, schedule=Schedule(free or s.free, nudged or s.nudged, window_log2, s.decay_shift))


#: By quantity: the network for each value other than the base's. Working weights stay in [-1, 1), and phi's
#: LSB changes with theirs; d stays in [-8, 8), and biases have its LSB; the state's value is its fractional
#: bits.
QUANTITIES: dict[str, dict[int, Spec]] = {
    "working weight": {bits: with_formats(Formats.of(weight_bits=bits)) for bits in (2, 3, 4, 5, 6, 7)},
    "master": {bits: with_master(bits) for bits in (16, 17, 19, 20)},
    "state": {bits: with_formats(Formats.of(state_fraction=bits)) for bits in (4, 5, 6, 7)},
    "decoder": {bits: with_formats(Formats.of(decoder_bits=bits)) for bits in (13, 14, 15)},
    "T free": {steps: with_steps(steps, max(steps // 2, 8)) for steps in (8, 12, 16, 24, 48, 64)},
    "T nudged": {steps: with_steps(nudged=steps) for steps in (8, 12, 24, 32)},
    "M": {window: with_steps(window=window) for window in (1, 2, 4, 16)},
}


def trials(budget: Budget) -> Iterator[Trial]:
    """Yield the base, then each value of each quantity."""
    yield Trial({"quantity": "preset", "value": BASE.name}, BASE)
    for quantity, specs in QUANTITIES.items():
        for value, spec in specs.items():
            yield Trial({"quantity": quantity, "value": str(value)}, spec)


def facts(trial: Trial, plan: Plan, held_out: int) -> dict[str, Any]:
    """Return everything that determines a result, in the form that the committed table was made with."""
    return {
        "plan": plan_facts(plan),
        "spec": trial.spec.identity,
        "free": plan.free_steps,
        "nudged": plan.nudged_steps,
    }


STUDY = study(
    "precision",
    BUDGETS,
    trials,
    "The first row is `small` as it was for this study: 8-16-64-10, all layers at once, working weights of "
    f"{BASE.formats.weight_bits} bits, masters {BASE.formats.master_bits}, states "
    f"{BASE.formats.state_fraction} fractional bits, decoders {BASE.formats.decoder_bits}, T "
    f"{BASE.schedule.free}/{BASE.schedule.nudged}, M {BASE.schedule.window}. Each other row changes one "
    "quantity of it; T free has half as many nudged steps, at least 8.",
    facts=facts,
)
