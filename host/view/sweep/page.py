"""The page of a sweep."""

from pathlib import Path

from nudge.host.view.content import Content
from nudge.host.view.figures import Artist
from nudge.host.view.folder import fingerprint
from nudge.host.view.page import Live, Page

from .content import content, tables
from .figures import against, learning, round_errors
from .folder import Reader, Sweep
from .settings import axes

FOOTER = "Everything on this page is read from the sweep's table and from the folders of its runs."


def structure(sweep: Sweep, made: Content) -> str:
    """Return a hash of the structure of figures and tables; if it changes, the page must be built anew."""
    columns = [table.columns for table in tables(sweep)]
    curves = any(trial.curve for trial in sweep.trials)
    return fingerprint([columns, axes(sweep), curves, sweep.held_out, round_errors(made)])


def page(sweep: Sweep) -> Page:
    """Return the page of a sweep."""
    made = content(sweep)
    artist = Artist(made)
    sections = [*learning(artist, sweep), *against(artist, sweep)]
    return Page(f"sweep {sweep.name}", "", made, tables(sweep), sections, structure(sweep, made), FOOTER)


class Swept:
    """The present state of a sweep, from its files alone (`host.view.watch.Shown`)."""

    #: A sweep's page waits for nothing: without a run it is empty.
    begun = True

    def __init__(self, path: Path):
        self._reader = Reader(path)

    def check(self) -> None:
        """Raise the error that a page would have."""
        self._reader.read()

    def version(self) -> tuple[str, str]:
        """Return "", as there are no steppers, and a hash of the state of all files."""
        return "", self._reader.version()

    def html(self, live: Live | None = None, version: str = "") -> str:
        """Return the page of the present state."""
        return page(self._reader.read()).html(live, version)

    def now(self) -> tuple[Content, str]:
        """Return content and structure of the present state."""
        sweep = self._reader.read()
        made = content(sweep)
        return made, structure(sweep, made)
