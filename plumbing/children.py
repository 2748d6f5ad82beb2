"""Child processes, which end with this process, together with their own children, even if it is killed.

Each child runs in a process group with a watchdog: a shell that reads from a pipe whose other end only this
process holds. When this process ends, the kernel closes the pipe, and the watchdog kills the group.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: The watchdog's command: it ignores SIGINT, SIGTERM and SIGHUP, and kills its group when the pipe closes.
WATCHDOG = ("/bin/sh", "-c", "trap '' INT TERM HUP; read _; kill -KILL 0")


@contextmanager
def started(words: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a program within the context; at its end, kill all remaining processes of the group.

    options: those of `subprocess.Popen`. Raises OSError for a program that can't be started.
    """
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    with subprocess.Popen(WATCHDOG, stdin=subprocess.PIPE, process_group=0, **quiet) as watchdog:
        process = None
        try:
            process = subprocess.Popen(words, process_group=watchdog.pid, **options)
            yield process
        finally:
            # the watchdog hasn't been waited for yet, so its process id can't have been reused
            os.killpg(watchdog.pid, signal.SIGKILL)
            if process is not None:
                process.wait()
                for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                    stream.close()


def killed(status: int) -> str | None:
    """Return "ended by SIGNAL" for the negative exit status of a program that a signal ended, else None.

    In that case the program's last output doesn't explain its end.
    """
    return f"ended by {signal.Signals(-status).name}" if status < 0 else None


def run(words: Sequence[str], seconds: float, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as `subprocess.run`; `subprocess.TimeoutExpired` after `seconds`."""
    with started(words, **options) as process:
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(words, process.returncode, out, err)
