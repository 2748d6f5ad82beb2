"""Training on a board that may be lost: `golden.training.loop.train`, restarted from its checkpoint."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from nudge.plumbing.errors import BoardError, ComparisonError, ImageError, LinkError
from nudge.plumbing.progress import note

from . import loop as plain
from .board import Board
from .data import Data
from .run import Run
from .stop import Stop

#: Seconds before a lost board is looked for again: the first wait, then doubled each time up to the longest.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0

#: Times that a run goes back for a damaged sample in the board's memory, in addition to its other retries.
#: Each time costs the work since the checkpoint; a board with more damage should be examined.
DAMAGED = 8

T = TypeVar("T")


def train(run: Run, board: Board, data: Data, stop: Stop) -> float:
    """Run `golden.training.loop.train`; the message of a board's error ends with the last saved state."""
    try:
        return plain.train(run, board, data, stop)
    except (LinkError, BoardError) as error:
        kept = f"{run.weights} holds the state after {run.saved} samples: `nudge resume` continues it"
        raise type(error)(f"{error}; {kept}") from None


def recovering(
    run: Run,
    connect: Callable[[], AbstractContextManager[T]],
    work: Callable[[Run, T], None],
    times: int,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Exception]:
    """Do `work(run, board)` with the board of `connect()`; after a fault, repeat it from the checkpoint.

    Each repetition has a new connection. Faults: a lost link (`LinkError`); a board that was reset, has lost
    its settings or is in the middle of another host's batch and therefore refuses (`BoardError`); a
    difference found by a twin (`ComparisonError`). Each fault but the last is yielded; after `times` of them,
    the next one is raised. Loading the checkpoint writes every weight anew. A run without a checkpoint, whose
    samples were still being uploaded to the board's memory, begins again, unless no board was ever connected.

    A damaged sample in the board's memory (`ImageError`) doesn't count: `work` stores it again, up to
    `DAMAGED` times.
    """
    wait, damaged, opened = FIRST_WAIT, DAMAGED, False
    while True:
        try:
            with connect() as board:
                opened = True
                work(run, board)
            return
        except (LinkError, BoardError, ComparisonError) as error:
            mends = isinstance(error, ImageError) and damaged > 0
            left = damaged if mends else times
            begins = opened and run.fresh
            if not left or not (begins or run.weights.exists()):
                raise
            where = "beginning again" if begins else "going back to the checkpoint"
            note(f"{error}; {where}, {left} more times at most")
            damaged, times = (damaged - 1, times) if mends else (damaged, times - 1)
            fault: Exception = error
        yield fault
        pause(wait)
        wait = min(2 * wait, LONGEST_WAIT)
        if not begins:
            run.reload()
