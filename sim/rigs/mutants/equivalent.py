"""Mutants that no bench can notice: those in equivalent.csv, each with its reason, and those that a solver proves to be so."""

import csv
import functools
import hashlib
from pathlib import Path

from . import proof
from .build import Mutant

#: Subject, digest of its RTLIL, change, and the reason. Of another text nothing is known: after a change of the unit it is
#: asked again.
LIST = Path(__file__).with_name("equivalent.csv")

#: Characters of RTLIL at most that the solver is asked about: with a whole core of 2 million it isn't done after 5 minutes.
MOST = 1 << 20

#: The reason that a solver gives.
PROVED = "the same for all inputs, proved"


@functools.cache
def listed() -> dict[tuple[str, str, str], str]:
    """Reasons by what identifies a mutant."""
    with LIST.open(newline="") as stream:
        return {(subject, digest, change): reason for subject, digest, change, reason in csv.reader(stream)}


def identity(mutant: Mutant) -> tuple[str, str, str]:
    """As `LIST` has it."""
    return mutant.subject, hashlib.sha256(mutant.text.encode()).hexdigest()[:8], mutant.change


def reason(mutant: Mutant) -> str | None:
    """Why it is equivalent; None if nothing says so."""
    if found := listed().get(identity(mutant)):
        return found
    if len(mutant.text) > MOST:
        return None
    return PROVED if proof.equivalent(mutant.text, mutant.top, mutant.change) else None
