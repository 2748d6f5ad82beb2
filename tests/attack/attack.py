"""An attack: one command under one evil, and what is asked of its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plumbing.errors import ExitCode

from .cell import Ended, Fault, cell


def nothing(folder: Path) -> None:
    """Nothing is there."""


def anything(folder: Path, ended: Ended) -> list[str]:
    """`Ended.judge` says all."""
    return []


@dataclass(frozen=True)
class Attack:
    """One command in a folder."""

    family: str
    name: str
    arguments: list[str]
    #: What the folder holds.
    prepare: Callable[[Path], None] = nothing
    #: What is wrong with how it ended, and with what it has left, beside what `Ended.judge` says.
    check: Callable[[Path, Ended], list[str]] = anything
    environment: Mapping[str, str | None] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    #: Goes on as a user would, without a fault; what is wrong then.
    mend: Callable[[Path], list[str]] = lambda folder: []

    def run(self, folder: Path, fault: Fault | None = None) -> Ended:
        """The command, disturbed or not."""
        return cell(self.arguments, folder, fault, self.environment, self.before)


def same_output(expected: str, folder: Path, ended: Ended) -> list[str]:
    """Success means the undisturbed output."""
    return ["another result"] if ended.code == ExitCode.OK and ended.out != expected else []


def failed(what: str, ended: Ended) -> list[str]:
    """What is wrong with the end of a command that must succeed."""
    return [] if ended.code == ExitCode.OK else [f"{what} ended with {ended.code}: {ended.err.strip()}"]
