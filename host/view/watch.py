"""Runs that change while they are shown: read again where their files have changed, looked at again where weights have."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from golden.training.checkpoint import WEIGHTS
from golden.training.folder import COUNTERS, EPOCHS, METRICS
from plumbing.errors import NudgeError

from .content import content
from .folder import DRAWN, Folder, chosen, read
from .look import Look, look
from .page import Live, page, renewed, structure

#: Seconds between two questions of a page.
SECONDS = 1.0


class Watch:
    """What some runs, or all in a folder, have to show now. Nothing is written, and nothing asked of who trains."""

    def __init__(self, paths: list[Path]):
        self._paths = paths
        #: Of each run: the state of its weight file, whether it has images to step through, and what was seen then.
        self._seen: dict[Path, tuple[tuple[str, bool], Look]] = {}
        #: The last page, its version, and when it was made.
        self._page, self._version, self._made = "", "", -SECONDS

    @property
    def runs(self) -> list[Path]:
        """`ViewError` for too many."""
        return chosen(self._paths)

    def version(self) -> tuple[str, str]:
        """Of the weight files, and of all files: text that changes with them. `ViewError` for too many."""
        runs = self.runs
        weights = [f"{run} {_state(run / WEIGHTS)}" for run in runs]
        others = [_state(run / name) for run in runs for name in (METRICS, EPOCHS, COUNTERS)]
        return _short(weights), _short(weights + others)

    @property
    def begun(self) -> bool:
        """Whether each run has something to show."""
        return all((run / WEIGHTS).exists() for run in self.runs)

    def now(self) -> list[tuple[Folder, Look]]:
        """The runs; what `host.view.folder.read` raises."""
        found = []
        for number, run in enumerate(self.runs):
            before = _state(run / WEIGHTS), number < DRAWN
            folder = read(run)
            if run not in self._seen or self._seen[run][0] != before:
                self._seen[run] = before, look(folder, steps=number < DRAWN)
            found.append((folder, self._seen[run][1]))
        return found

    def page(self, url: str) -> str:
        """A page that asks `url`, the same each time, for what is new. It takes the time of a hundred answers: it is made for
        whoever asks within `SECONDS`, or as long as nothing changes.
        """
        version = ".".join(self.version())
        if version != self._version and time.monotonic() > self._made + SECONDS:
            self._page = page(self.now(), Live(url, SECONDS), version)
            self._version, self._made = version, time.monotonic()
        return self._page

    def news(self, since: str) -> dict[str, Any]:
        """What has changed since a version that a page has; where the runs can't be read just now, why."""
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
    """Text that changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _short(states: list[str]) -> str:
    return hashlib.sha256(json.dumps(states).encode()).hexdigest()[:16]
