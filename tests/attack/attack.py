"""An attack: one command under one evil, and what is asked of its end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plumbing.errors import ExitCode

from .cell import Ended
from .scenarios import bits, reference


@dataclass(frozen=True)
class Attack:
    """One command under one attack."""

    family: str
    name: str
    arguments: list[str]
    #: What the folder holds.
    prepare: Callable[[Path], None] = lambda folder: None
    #: What is wrong with how it ended, beside what `judge` says.
    check: Callable[[Path, Ended], list[str]] = lambda folder, ended: []
    environment: tuple[tuple[str, str | None], ...] = ()
    before: Callable[[], None] = lambda: None


def anything(folder: Path, ended: Ended) -> list[str]:
    """`judge` says all."""
    return []


def same_bits(folder: Path, ended: Ended) -> list[str]:
    """Success means the undisturbed weights."""
    return ["other weights"] if ended.code == ExitCode.OK and bits(folder / "run") != reference()[0] else []


def same_output(expected: str, folder: Path, ended: Ended) -> list[str]:
    """Success means the undisturbed output."""
    return ["another result"] if ended.code == ExitCode.OK and ended.out != expected else []
