"""Progress of a long command on standard error: a bar on a terminal, otherwise a plain line every 10 s."""

import contextlib
import sys
import time
from types import TracebackType
from typing import Self

#: Seconds between two plain lines.
PLAIN_INTERVAL = 10.0


#: Whether notes are suppressed: of several processes that do the same work, only one prints.
_silent = False


def silence() -> None:
    """Suppress all further notes of this process."""
    global _silent
    _silent = True


def note(message: str) -> None:
    """Print one line on standard error. Control characters, such as in a file's name, are escaped."""
    if not _silent and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # a full or closed standard error is no reason to stop
            print(plain(message), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Return the text with all unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Meter:
    """Progress of `total` samples, with rate, running error and time left.

    The rate counts only the samples of this process, not those before a resumption.
    """

    def __init__(self, title: str, total: int, done: int = 0):
        self.title, self.total, self.done = title, total, done
        self._first = done
        self._start = self._printed = time.monotonic()
        # imported here, since most commands draw no bar
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal and not _silent:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
            )
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=False)
            self._task = self._bar.add_task(title, total=total, completed=done, status="")

    @property
    def seconds(self) -> float:
        """Seconds since the meter was created."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Samples per second."""
        return (self.done - self._first) / max(self.seconds, 1e-9)

    def advance(self, samples: int, status: str = "") -> None:
        """Count `samples` more as done. status: a few words, such as the running error."""
        self.done += samples
        line = f"{self.rate:.1f}/s {status}".rstrip()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, status=line)
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL or self.done >= self.total:
            self._printed = time.monotonic()
            left = (self.total - self.done) / max(self.rate, 1e-9)
            note(f"{self.title}: {self.done}/{self.total}  {line}  {left:.0f} s left")

    def tell(self, status: str) -> None:
        """Show the progress of the next one, without counting it."""
        if self._bar is not None:
            self._bar.update(self._task, status=status)
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL:
            self._printed = time.monotonic()
            note(f"{self.title}: {self.done}/{self.total}, the next one: {status}")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
