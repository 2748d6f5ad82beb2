"""An attack: one command under one fault or odd condition, and the checks of how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nudge.plumbing.errors import ExitCode

from .cell import Ended, Fault, cell


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


def anything(folder: Path, ended: Ended) -> list[str]:
    """Accept every ending, so that `Ended.judge` is the only check."""
    return []


@dataclass(frozen=True)
class Attack:
    """One command in a folder of its own."""

    family: str
    name: str
    arguments: list[str]
    #: Fills the folder.
    prepare: Callable[[Path], None] = nothing
    #: Returns the errors in how it ended and in the files that it left, beside those of `Ended.judge`.
    check: Callable[[Path, Ended], list[str]] = anything
    environment: Mapping[str, str | None] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    #: Continues as a user would, without a fault, and returns the errors.
    mend: Callable[[Path], list[str]] = lambda folder: []

    def run(self, folder: Path, fault: Fault | None = None) -> Ended:
        """Run the command, with or without a fault."""
        return cell(self.arguments, folder, fault, self.environment, self.before)


def same_output(expected: str, folder: Path, ended: Ended) -> list[str]:
    """Return an error if the command succeeded with another output than the undisturbed one."""
    return ["another result"] if ended.code == ExitCode.OK and ended.out != expected else []


def failed(what: str, ended: Ended) -> list[str]:
    """Return an error if a command that must succeed failed."""
    return [] if ended.code == ExitCode.OK else [f"{what} ended with {ended.code}: {ended.err.strip()}"]
