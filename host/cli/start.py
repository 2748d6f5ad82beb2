"""Entry point: handles signals from the first moment, so an interrupt during imports ends in one line."""

import os
import signal
import sys
from collections import namedtuple

from nudge.plumbing import signals

from .ending import FAULT, TOOLS, at_once, say


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    heard = signals.heard()
    for number in heard:
        signal.signal(number, at_once)
    _open_standard_streams()
    try:
        from .main import main as run  # imported late: one of its packages may be missing

        code = run(arguments)
    except ImportError as error:
        say(f"a package is missing or damaged: {error}: make setup")
        code = TOOLS
    except MemoryError:
        say("out of memory")
        code = FAULT
    # the command has reported its end: a later signal must not change that
    for number in heard:
        signal.signal(number, signal.SIG_IGN)
    # CPython ends `python -m` by SIGINT if an interrupt fell into generated code, even one that was caught.
    # A namedtuple is made by generated code, which resets this.
    namedtuple("Reset", ())
    _close_standard_streams()
    return code


def _open_standard_streams() -> None:
    """Open /dev/null for closed standard streams, so that no file takes their descriptors.

    Characters that a stream can't encode are escaped.
    """
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
    """Flush the standard streams; redirect one that fails to /dev/null.

    Otherwise the interpreter would report the error once more, and end with another exit code.
    """
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
