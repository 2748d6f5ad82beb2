"""Progress of a long command on standard error: a bar on a terminal, a plain line now and then elsewhere."""

import contextlib
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    pass

#: Seconds between two plain lines.
PLAIN_INTERVAL = 10.0


#: Whether nothing is printed: of several processes that do the same, one speaks.
_silent = False


def silence() -> None:
    """From now on this process notes nothing."""
    global _silent
    _silent = True


def note(message: str) -> None:
    """One line on standard error. What would tell a terminal to do something, such as in a file's name, is escaped."""
    if not _silent and sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # standard error is full or closed: no reason to stop work
            print(plain(message), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """The text with escapes for all that isn't printed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Meter:
    """Counts `total` samples, with the rate, the running error and the time left.

    The rate is over the samples of this process: those that a resumed run had done before don't count.
    """

    def __init__(self, title: str, total: int, done: int = 0):
        self.title, self.total, self.done = title, total, done
        self._first = done
        self._start = self._printed = time.monotonic()
        # late: most commands draw no bar
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal and not _silent:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=False)
            self._task = self._bar.add_task(title, total=total, completed=done, status="")

    @property
    def seconds(self) -> float:
        """Since the meter was made."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Samples a second."""
        return (self.done - self._first) / max(self.seconds, 1e-9)

    def advance(self, samples: int, status: str = "") -> None:
        """`samples` more are done; `status` is a few words, such as the running error."""
        self.done += samples
        line = f"{self.rate:.1f}/s {status}".rstrip()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, status=line)
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL or self.done >= self.total:
            self._printed = time.monotonic()
            left = (self.total - self.done) / max(self.rate, 1e-9)
            note(f"{self.title}: {self.done}/{self.total}  {line}  {left:.0f} s left")

    def tell(self, status: str) -> None:
        """Nothing is done, but this is how far the next one is."""
        if self._bar is not None:
            self._bar.update(self._task, status=status)
        elif time.monotonic() - self._printed >= PLAIN_INTERVAL:
            self._printed = time.monotonic()
            note(f"{self.title}: {self.done}/{self.total}, the next one: {status}")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
