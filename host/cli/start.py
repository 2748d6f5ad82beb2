"""The first that a command runs: from here on an interrupt ends it in one line, also while packages are imported."""

import os
import signal
import sys

from plumbing import signals

from .ending import FAULT, TOOLS, at_once, say


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    heard = signals.heard()
    for number in heard:
        signal.signal(number, at_once)
    _open_standard_streams()
    try:
        from .main import main as run  # late: what it imports may be what is missing

        code = run(arguments)
    except ImportError as error:
        say(f"a package is missing or damaged: {error}: make setup")
        code = TOOLS
    except MemoryError:
        say("out of memory")
        code = FAULT
    # it has said how it ended: nothing that comes now changes that
    for number in heard:
        signal.signal(number, signal.SIG_IGN)
    _close_standard_streams()
    return code


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
