"""All errors of the project, by layer, and the exit codes of commands.

A message is one line: the problem, the value, and the allowed values or the remedy. Errors are caught in one
place, the command line (`host.cli`), which prints the message and exits with the class's `exit_code`.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from .described import Described


class ExitCode(Described):
    """Exit code of a command; `what` is its description in --help and on the site."""

    OK = 0, "done"
    DIFFERENT = 1, "a comparison failed: board and golden model differ, or a check of the board did not hold"
    USAGE = 2, "options that can't be obeyed, such as an unknown preset"
    DATA = 3, "data set not found, not readable, or not the published one"
    LINK = 4, "no such port, port busy, or no answer in time"
    BOARD = 5, "board built for another preset, or a request that it refused"
    WEIGHTS = 6, "weight file missing, damaged, or of another network"
    TOOLS = 7, "a tool that simulation or a build needs is missing or failed"
    TIMING = 8, "a build doesn't fit, misses timing, or is worse than its committed report"
    FAULT = 70, "a fault of nudge itself, or no memory left; the log file that is named says where"
    INTERRUPTED = 130, "interrupted (Ctrl-C, SIGTERM or SIGHUP); `train` has saved a checkpoint"


def meant(wrong: str, known: Iterable[str]) -> str:
    """Return "; did you mean WORD?" for the end of a message about a wrong word, or "".

    Suggestions are the known words that contain it, else similar ones.
    """
    words, part = list(known), wrong.strip("-")
    alike = [word for word in words if len(part) > 1 and part in word] or difflib.get_close_matches(
        wrong, words, cutoff=0.7
    )
    return f"; did you mean {' or '.join(alike)}?" if alike else ""


class NudgeError(Exception):
    """Base of all errors of this project."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class UsageError(NudgeError):
    """Invalid options or values."""


# -- golden.contract


class SpecError(NudgeError):
    """A network, schedule or preset that can't be built."""


class ConfigError(NudgeError):
    """Lanes or engines that don't fit a network."""


# -- golden.model


class ModelError(NudgeError):
    """Values that no board would accept."""


class NativeError(ModelError):
    """The compiled engine can't be built or can't run this network."""


# -- golden.training, paper


class PlanError(NudgeError):
    """A training plan that can't be carried out."""


class DataError(NudgeError):
    """A data set that is missing, or isn't the published one."""

    exit_code = ExitCode.DATA


class WeightsError(NudgeError):
    """A weight file that can't be read, or is of another network."""

    exit_code = ExitCode.WEIGHTS


class MetricsError(NudgeError):
    """Metrics of a run that can't be read."""


class ProcessError(NudgeError):
    """Another process of the same training has ended."""


class StudyError(NudgeError):
    """A study that can't be carried out or continued."""


# -- plumbing


class ClusterError(NudgeError):
    """Workers that can't be reached, or have another version of nudge."""

    exit_code = ExitCode.LINK


# -- host


class LinkError(NudgeError):
    """A failure of the connection: no such port, port busy, no answer, connection lost, retries used up."""

    exit_code = ExitCode.LINK


class IdentityError(NudgeError):
    """The device that answers isn't a board built for this network and this version."""

    exit_code = ExitCode.BOARD


class BoardError(NudgeError):
    """A request refused by the board (BAD_ORDER, BAD_RANGE), or by the model as a board would."""

    exit_code = ExitCode.BOARD


class ImageError(BoardError):
    """A sample in the board's memory is damaged; storing it again repairs it."""


class ComparisonError(NudgeError):
    """Board and golden model differ; the message has the first difference, both values, and their number."""

    exit_code = ExitCode.DIFFERENT


class ViewError(NudgeError):
    """A run that can't be shown, or a page that can't be served."""


# -- nudge


class ExchangeError(NudgeError):
    """A network that another library's format can't represent, or a graph that nudge can't."""


# -- sim, boards


class ToolError(NudgeError):
    """A tool that simulation or a build needs is missing or failed."""

    exit_code = ExitCode.TOOLS


class DesignError(NudgeError):
    """An unknown board, a network that it has no build for, an impossible clock, or a missing report."""


class TimingError(NudgeError):
    """The logic doesn't fit the part, misses timing, or is worse than its committed report."""

    exit_code = ExitCode.TIMING
