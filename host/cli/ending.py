"""Ends a process with one line on standard error; needs no package that may be missing."""

import os
from types import FrameType

#: Copies of `plumbing.errors.ExitCode`, whose import may fail; a test compares them.
TOOLS, FAULT, INTERRUPTED = 7, 70, 130


def at_once(number: int, frame: FrameType | None) -> None:
    """Signal handler during imports: print a line and end the process at once, as nothing is open yet.

    Only the first of several processes of torchrun prints it.
    """
    if os.environ.get("RANK", "0") == "0":
        say("interrupted")
    os._exit(INTERRUPTED)


def say(line: str) -> None:
    """Write a line to standard error; ignore it if that fails."""
    try:
        os.write(2, f"nudge: {line}\n".encode(errors="backslashreplace"))
    except OSError:
        return
