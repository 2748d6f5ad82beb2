"""Watches runs that change while they are shown: reads changed files, and evaluates changed weights."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from nudge.golden.training.checkpoint import WEIGHTS
from nudge.golden.training.folder import COUNTERS, EPOCHS, METRICS
from nudge.plumbing.errors import NudgeError

from .content import content
from .folder import DRAWN, Folder, chosen, read
from .look import Look, look
from .page import Live, page, renewed, structure

#: Seconds between two polls of a page.
SECONDS = 1.0


class Watch:
    """The present state of some runs, or of all in a folder, from their files alone. It writes nothing."""

    def __init__(self, paths: list[Path]):
        self._paths = paths
        #: The last `Look` at each run, with the state of its weight file and whether it has images to step
        #: through.
        self._seen: dict[Path, tuple[tuple[str, bool], Look]] = {}
        #: The last page, its version, and the time at which it was made.
        self._page, self._version, self._made = "", "", -SECONDS

    @property
    def runs(self) -> list[Path]:
        """Directories of the runs; `ViewError` for too many."""
        return chosen(self._paths)

    def version(self) -> tuple[str, str]:
        """Return hashes of the state of the weight files, and of all files. `ViewError` for too many runs."""
        runs = self.runs
        weights = [f"{run} {_state(run / WEIGHTS)}" for run in runs]
        others = [_state(run / name) for run in runs for name in (METRICS, EPOCHS, COUNTERS)]
        return _short(weights), _short(weights + others)

    @property
    def begun(self) -> bool:
        """True if each run has a weight file."""
        return all((run / WEIGHTS).exists() for run in self.runs)

    def now(self) -> list[tuple[Folder, Look]]:
        """Read the runs, and evaluate changed weights. Raises the errors of `host.view.folder.read`."""
        found = []
        for number, run in enumerate(self.runs):
            before = _state(run / WEIGHTS), number < DRAWN
            folder = read(run)
            if run not in self._seen or self._seen[run][0] != before:
                self._seen[run] = before, look(folder, steps=number < DRAWN)
            found.append((folder, self._seen[run][1]))
        return found

    def page(self, url: str) -> str:
        """Return a page that polls `url`, which must be the same in each call.

        Building it takes as long as a hundred answers to polls, so a page is returned again for `SECONDS`,
        and for as long as nothing changes.
        """
        version = ".".join(self.version())
        if version != self._version and time.monotonic() > self._made + SECONDS:
            self._page = page(self.now(), Live(url, SECONDS), version)
            self._version, self._made = version, time.monotonic()
        return self._page

    def news(self, since: str) -> dict[str, Any]:
        """Return the changes since a page's version, or the error if the runs can't be read now."""
        try:
            weights, all_files = self.version()
            version = f"{weights}.{all_files}"
            if version == since:
                return {"version": version}
            runs = self.now()
        except NudgeError as error:
            return {"version": since, "error": str(error)}
        steps = since.split(".")[0] != weights
        return renewed(content(runs), steps=steps) | {"version": version, "structure": structure(runs)}


def _state(path: Path) -> str:
    """Return text that changes when a file does: inode, size and time of change; "" without the file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _short(states: list[str]) -> str:
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]
