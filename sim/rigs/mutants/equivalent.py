"""Equivalent mutants, which no bench can notice: listed in equivalent.csv, or proved by a solver."""

import csv
import functools
import hashlib
from pathlib import Path

from . import proof
from .build import Mutant

#: Rows of subject, digest of its RTLIL, change, and reason. A row only holds for this RTLIL: after a change
#: of the unit, the mutant must be judged again.
LIST = Path(__file__).with_name("equivalent.csv")

#: Longest RTLIL in characters for the solver: on a whole core, with 2 million, it doesn't
#: finish in 5 minutes.
MOST = 1 << 20

#: The reason for mutants proved by the solver.
PROVED = "the same for all inputs, proved"


@functools.cache
def listed() -> dict[tuple[str, str, str], str]:
    """Return the reasons in `LIST`, by `identity`."""
    with LIST.open(newline="") as stream:
        return {(subject, digest, change): reason for subject, digest, change, reason in csv.reader(stream)}


def identity(mutant: Mutant) -> tuple[str, str, str]:
    """Return subject, digest and change of a mutant, as in `LIST`."""
    return mutant.subject, hashlib.sha256(mutant.text.encode()).hexdigest()[:8], mutant.change


def reason(mutant: Mutant) -> str | None:
    """Return the reason why a mutant is equivalent; None if none is known."""
    if found := listed().get(identity(mutant)):
        return found
    if len(mutant.text) > MOST:
        return None
    return PROVED if proof.equivalent(mutant.text, mutant.top, mutant.change) else None
