"""A page beside a training: a process of its own serves it from the run's files."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plumbing.errors import ViewError
from plumbing.progress import note

#: Seconds for the server to start, on a machine with much to do.
START_SECONDS = 120.0

#: Seconds for it to end before it is killed.
END_SECONDS = 5.0


@dataclass(frozen=True)
class Served:
    """A page that is served."""

    address: str
    server: subprocess.Popen[bytes]

    def stay(self) -> None:
        """Go on until Ctrl-C or another signal that ends a command, or until the server ends.

        It returns at once where standard input or standard error is no terminal, as in a script, which nobody would end.
        """
        if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
            return
        note("the training has ended; its page is served until Ctrl-C")
        with contextlib.suppress(KeyboardInterrupt):
            self.server.wait()


@contextlib.contextmanager
def live(out: Path) -> Iterator[Served]:
    """While entered, a page of the run in `out` is served. `ViewError` where the server can't start.

    Whatever happens to it later, the training goes on.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # the processor belongs to who trains
    with tempfile.TemporaryFile() as complaints:
        server = subprocess.Popen(
            [sys.executable, "-m", "host.view.serve", str(out)],
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
                why = complaints.read().decode(errors="replace").strip().splitlines() or [f"nothing in {START_SECONDS:g} s"]
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
