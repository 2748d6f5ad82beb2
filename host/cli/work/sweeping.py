"""Progress of `nudge sweep`: bars, and with --live a page."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from nudge.host.sweep.progress import Bars
from nudge.host.sweep.table import Row
from nudge.host.view.live import Served, live
from nudge.plumbing.progress import note


class Shown(Bars):
    """`Bars`, and with `page` a page that follows the sweep's folder."""

    def __init__(self, page: bool):
        super().__init__()
        self._asked, self._stack = page, ExitStack()
        self._page: Served | None = None

    def begin(self, folder: Path, total: int, rows: list[Row], dashboard: str) -> None:
        if self._asked:
            self._page = self._stack.enter_context(live(folder))
            note(f"live: {self._page.address}")
        super().begin(folder, total, rows, dashboard)

    def stay(self, as_json: bool) -> None:
        """Serve the page until Ctrl-C, if there is one and a terminal."""
        self.stop()
        if self._page is not None and not as_json:
            self._page.stay()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *given: Any) -> None:
        self.stop()
        self._stack.__exit__(*given)
