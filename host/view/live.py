"""A page beside a training: a process of its own serves it from the run's files."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from golden.contract.errors import ViewError

#: Seconds for the server to start, on a machine with much to do.
START_SECONDS = 120.0

#: Seconds for it to end before it is killed.
END_SECONDS = 5.0


@contextlib.contextmanager
def live(out: Path) -> Iterator[str]:
    """While entered, a page of the run in `out` is served; its address. `ViewError` where the server can't start.

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
            yield url
        finally:
            server.stdin.close()
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            server.stdout.close()
