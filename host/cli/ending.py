"""The end of a process in one line, whatever is imported or isn't."""

import os
from types import FrameType

#: `plumbing.errors.ExitCode`, which may be what can't be imported; a test compares them.
TOOLS, FAULT, INTERRUPTED = 7, 70, 130


def at_once(number: int, frame: FrameType | None) -> None:
    """While packages are imported: nothing is open that would have to be closed.

    Of the processes that torchrun starts, the first one says so.
    """
    if os.environ.get("RANK", "0") == "0":
        say("interrupted")
    os._exit(INTERRUPTED)


def say(line: str) -> None:
    """A line on standard error, if that can be written."""
    try:
        os.write(2, f"nudge: {line}\n".encode(errors="backslashreplace"))
    except OSError:
        return
