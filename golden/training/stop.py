"""Stop requests to a training run: by the signals that ask a process to end."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from nudge.plumbing.progress import note
from nudge.plumbing.signals import heard


class Stop:
    """True once a stop is requested.

    While entered, the first of the signals `heard` only requests a stop; a second one interrupts.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        note("finishing the batch and saving; a second Ctrl-C ends at once")

    def __bool__(self) -> bool:
        return self.requested

    def __enter__(self) -> Self:
        # only Python's main thread can handle signals
        main = threading.current_thread() is threading.main_thread()
        self._before = {number: signal.signal(number, self._handle) for number in (heard() if main else ())}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
