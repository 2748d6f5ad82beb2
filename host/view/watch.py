"""Watches runs or a sweep while they change: reads changed files, and evaluates changed weights."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from nudge.golden.training.checkpoint import WEIGHTS
from nudge.golden.training.folder import COUNTERS, EPOCHS, METRICS
from nudge.plumbing.errors import NudgeError, ViewError

from .content import Content, content
from .folder import DRAWN, Folder, chosen, fingerprint, read, state
from .look import Look, look
from .page import Live, page, renewed, structure
from .sweep.folder import is_sweep
from .sweep.page import Swept

#: Seconds between two polls of a page.
SECONDS = 1.0


class Shown(Protocol):
    """What a page shows, in its present state, from its files alone. It writes nothing.

    The methods raise a `NudgeError` for files that can't be read.
    """

    @property
    def begun(self) -> bool:
        """True if there is something to show."""
        ...

    def check(self) -> None:
        """Read all files."""
        ...

    def version(self) -> tuple[str, str]:
        """Return hashes of the state of the weight files that have steppers, and of all files."""
        ...

    def html(self, live: Live | None = None, version: str = "") -> str:
        """Return the page. live: it polls for changes since `version`."""
        ...

    def now(self) -> tuple[Content, str]:
        """Return the page's content, and the hash of its structure."""
        ...


def shown(paths: Sequence[Path]) -> Shown:
    """Return what paths name: runs, or a sweep. `ViewError` for a sweep among others."""
    sweeps = [path for path in paths if is_sweep(path)]
    if sweeps and len(paths) > 1:
        raise ViewError(f"{sweeps[0]} is a sweep, which has a page of its own: view it alone")
    return Swept(sweeps[0]) if sweeps else Runs(paths)


class Runs:
    """Some runs, or all in a folder."""

    def __init__(self, paths: Sequence[Path]):
        self._paths = paths
        #: The last `Look` at each run, with the state of its weight file and whether it has images to step
        #: through.
        self._seen: dict[Path, tuple[tuple[str, bool], Look]] = {}

    @property
    def begun(self) -> bool:
        """True if each run has a weight file; `ViewError` for too many runs."""
        return all((run / WEIGHTS).exists() for run in chosen(self._paths))

    def check(self) -> None:
        """Read the runs. Raises the errors of `host.view.folder.read`."""
        for run in chosen(self._paths):
            read(run)

    def version(self) -> tuple[str, str]:
        """Return hashes of the state of the weight files, and of all files. `ViewError` for too many runs."""
        runs = chosen(self._paths)
        weights = [f"{run} {state(run / WEIGHTS)}" for run in runs]
        others = [state(run / name) for run in runs for name in (METRICS, EPOCHS, COUNTERS)]
        return fingerprint(weights), fingerprint(weights + others)

    def html(self, live: Live | None = None, version: str = "") -> str:
        """Return the page."""
        return page(self._looked_at()).html(live, version)

    def now(self) -> tuple[Content, str]:
        """Return content and structure of the page."""
        runs = self._looked_at()
        made = content(runs)
        return made, structure(runs, made)

    def _looked_at(self) -> list[tuple[Folder, Look]]:
        """Read the runs, then evaluate changed weights."""
        runs = chosen(self._paths)
        before = [(state(run / WEIGHTS), number < DRAWN) for number, run in enumerate(runs)]
        folders = [read(run) for run in runs]
        for run, known, folder in zip(runs, before, folders, strict=True):
            if run not in self._seen or self._seen[run][0] != known:
                self._seen[run] = known, look(folder, steps=known[1])
        return [(folder, self._seen[run][1]) for run, folder in zip(runs, folders, strict=True)]


class Watch:
    """A served page of runs or of a sweep."""

    def __init__(self, paths: Sequence[Path]):
        self._paths = paths
        self._shown: Shown = shown(paths)
        #: The last page, its version, and the time at which it was made.
        self._page, self._version, self._made = "", "", -SECONDS

    @property
    def begun(self) -> bool:
        """True if there is something to show; `ViewError` for too many runs."""
        if not self._shown.begun:
            self._shown = shown(self._paths)  # an empty folder may have become a sweep
        return self._shown.begun

    def page(self, url: str) -> str:
        """Return a page that polls `url`, which must be the same in each call.

        Building it takes as long as a hundred answers to polls, so a page is returned again for `SECONDS`,
        and for as long as nothing changes.
        """
        version = ".".join(self._shown.version())
        if version != self._version and time.monotonic() > self._made + SECONDS:
            self._page = self._shown.html(Live(url, SECONDS), version)
            self._version, self._made = version, time.monotonic()
        return self._page

    def news(self, since: str) -> dict[str, Any]:
        """Return the changes since a page's version, or the error if the files can't be read now."""
        try:
            weights, all_files = self._shown.version()
            version = f"{weights}.{all_files}"
            if version == since:
                return {"version": version}
            made, structure_now = self._shown.now()
        except NudgeError as error:
            return {"version": since, "error": str(error)}
        steps = since.split(".")[0] != weights
        return renewed(made, steps=steps) | {"version": version, "structure": structure_now}
