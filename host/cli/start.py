"""The first that a command runs: from here on an interrupt ends it in one line, also while the large packages are imported."""

import os
import signal
import sys
from types import FrameType

from golden import signals


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    heard = signals.heard()
    for number in heard:
        signal.signal(number, at_once)
    _open_standard_streams()
    try:
        from .main import main as run  # late: it takes seconds

        code = run(arguments)
    except ImportError as error:
        _say(f"a package is missing or damaged: {error}: make setup")
        code = TOOLS
    except MemoryError:
        _say("out of memory")
        code = FAULT
    # it has said how it ended: nothing that comes now changes that
    for number in heard:
        signal.signal(number, signal.SIG_IGN)
    _close_standard_streams()
    return code


#: `golden.contract.errors.ExitCode`, which may be what can't be imported; a test compares them.
TOOLS, FAULT, INTERRUPTED = 7, 70, 130


def at_once(number: int, frame: FrameType | None) -> None:
    """Nothing is open yet that would have to be closed. Of the processes that torchrun starts, the first one says so."""
    if os.environ.get("RANK", "0") == "0":
        _say("interrupted")
    os._exit(INTERRUPTED)


def _say(line: str) -> None:
    try:
        os.write(2, f"nudge: {line}\n".encode(errors="backslashreplace"))
    except OSError:
        return


def _open_standard_streams() -> None:
    """What is closed leads nowhere from now on: no file of ours becomes standard output. What can't be encoded is escaped."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
        else:
            stream.reconfigure(errors="backslashreplace")


def _close_standard_streams() -> None:
    """What can't be written has been said; the interpreter would say it again, with another code."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
