"""Programs that this process starts. They, and what they start, end with it, even if it is killed.

Each runs in a process group with a watchdog: a shell that waits for the end of a pipe, of which this process alone has the
other end. The kernel closes that with the process; then the watchdog kills the group.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: It outlives what would end the others, and nothing else.
WATCHDOG = ("/bin/sh", "-c", "trap '' INT TERM HUP; read _; kill -KILL 0")


@contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program while the context lasts; whatever is left of its group at the end is killed.

    options: of `subprocess.Popen`. Raises OSError for a program that can't be started.
    """
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    with subprocess.Popen(WATCHDOG, stdin=subprocess.PIPE, process_group=0, **quiet) as watchdog:
        process = None
        try:
            process = subprocess.Popen(words, process_group=watchdog.pid, **options)
            yield process
        finally:
            # while the watchdog isn't waited for, its number is nobody else's
            os.killpg(watchdog.pid, signal.SIGKILL)
            if process is not None:
                process.wait()
                for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                    stream.close()


def killed(status: int) -> str | None:
    """What ended a program in place of itself, where it was a signal: what it had said before is no reason."""
    return f"ended by {signal.Signals(-status).name}" if status < 0 else None


def run(words: Sequence[str], seconds: float, **options: Any) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` with a deadline; `subprocess.TimeoutExpired` where it isn't kept."""
    with started(words, **options) as process:
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(words, process.returncode, out, err)
