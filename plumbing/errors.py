"""What can go wrong, one class for each layer, and the exit code that a command ends with.

A message is one line: what is wrong, the value, and what is allowed or what to do. Errors are caught once, by the
command line (`host.cli`), which prints the message and ends with the class's `exit_code`.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from .described import Described


class ExitCode(Described):
    """How a command ends; `what` says it for --help and the site."""

    OK = 0, "done"
    DIFFERENT = 1, "a comparison failed: board and golden model differ"
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
    """What may be meant by a wrong word, for a message's end: words that have it as a part, else those alike; or nothing."""
    words, part = list(known), wrong.strip("-")
    alike = [word for word in words if len(part) > 1 and part in word] or difflib.get_close_matches(wrong, words, cutoff=0.7)
    return f"; did you mean {' or '.join(alike)}?" if alike else ""


class NudgeError(Exception):
    """Base of all."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class UsageError(NudgeError):
    """Options or values that can't be obeyed."""


# -- golden.contract


class SpecError(NudgeError):
    """A network, schedule or preset that can't be built."""


class ConfigError(NudgeError):
    """Lanes or engines that don't fit a network."""


# -- golden.model


class ModelError(NudgeError):
    """Values that no board would take."""


class NativeError(ModelError):
    """The compiled engine can't be built or can't run this network."""


# -- golden.training, paper


class PlanError(NudgeError):
    """A training plan that can't be carried out."""


class DataError(NudgeError):
    """A data set that isn't there, or isn't the published one."""

    exit_code = ExitCode.DATA


class WeightsError(NudgeError):
    """A weight file that can't be read, or is of another network."""

    exit_code = ExitCode.WEIGHTS


class MetricsError(NudgeError):
    """Metrics of a run that can't be read."""


class ProcessError(NudgeError):
    """Another process of the same training is gone."""


class StudyError(NudgeError):
    """A study that can't be carried out or continued."""


# -- host


class LinkError(NudgeError):
    """The port or what is behind it: no such port, port busy, nothing answers, connection lost, retries used up."""

    exit_code = ExitCode.LINK


class IdentityError(NudgeError):
    """Something answers, but it isn't a board that was built for this network and this version."""

    exit_code = ExitCode.BOARD


class BoardError(NudgeError):
    """The board refused a request (BAD_ORDER, BAD_RANGE), or the model did as a board would have."""

    exit_code = ExitCode.BOARD


class ImageError(BoardError):
    """A sample in the board's memory is damaged; stored again it is good."""


class ComparisonError(NudgeError):
    """Board and golden model differ; the message names the first place and both values, and how many differ."""

    exit_code = ExitCode.DIFFERENT


class ViewError(NudgeError):
    """A run that can't be shown, or a page that can't be served."""


# -- nudge


class ExchangeError(NudgeError):
    """What another library's format can't say, or nudge can't have."""


# -- sim, boards


class ToolError(NudgeError):
    """A tool that simulation or a build needs is missing or failed."""

    exit_code = ExitCode.TOOLS


class DesignError(NudgeError):
    """No such board, nothing to build on it for this network, a clock that it can't make, or no report of it."""


class TimingError(NudgeError):
    """The logic doesn't fit the part, misses timing, or is worse than its committed report."""

    exit_code = ExitCode.TIMING
