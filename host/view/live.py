"""Serves a page beside a training or a sweep, in a separate process that reads its files."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nudge.plumbing.errors import ViewError
from nudge.plumbing.progress import note

#: Time limit in seconds for the server to start, on a busy machine.
START_SECONDS = 120.0

#: Seconds for the server to end before it is killed.
END_SECONDS = 5.0


@dataclass(frozen=True)
class Served:
    """A served page: its address, and the server's process."""

    address: str
    server: subprocess.Popen[bytes]

    def stay(self) -> None:
        """Wait until Ctrl-C or another signal that ends a command, or until the server ends.

        Return at once if standard input or standard error is not a terminal: nobody would end a script.
        """
        if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
            return
        note("the training has ended; its page is served until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            self.server.wait()


@contextlib.contextmanager
def live(out: Path) -> Iterator[Served]:
    """Context in which a page of the run or sweep in `out` is served. `ViewError` if the server can't start.

    If the server fails later, the training continues.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # leave the processors to the training
    with tempfile.TemporaryFile() as complaints:
        server = subprocess.Popen(
            [sys.executable, "-m", "nudge.host.view.serve", str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environment,
            start_new_session=True,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            ready, _, _ = select.select([server.stdout], [], [], START_SECONDS)
            url = server.stdout.readline().decode().strip() if ready else ""
            if not url:
                complaints.seek(0)
                why = complaints.read().decode(errors="replace").strip().splitlines() or [
                    f"nothing in {START_SECONDS:g} s"
                ]
                raise ViewError(f"the live page's server didn't start: {why[-1]}")
            yield Served(url, server)
        finally:
            server.stdin.close()
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
