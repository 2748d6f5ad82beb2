"""Training on a board that may be lost: `golden.training.loop.train`, begun again from its checkpoint."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from plumbing.errors import BoardError, ComparisonError, ImageError, LinkError
from plumbing.progress import note

from . import loop as plain
from .board import Board
from .data import Data
from .run import Run
from .stop import Stop

#: Seconds to wait before a lost board is looked for again, doubled each time up to the second.
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0

#: Times that a run goes back because a sample in the board's memory was damaged, whatever else it may do: that costs the work
#: since the checkpoint, and a board whose memory loses more than this is to be looked at.
DAMAGED = 8

T = TypeVar("T")


def train(run: Run, board: Board, data: Data, stop: Stop) -> float:
    """`golden.training.loop.train`; the error of a board that fails says what was saved."""
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
    """Do `work(run, board)` with the board of `connect()`; after a fault again, on a new connection, from the checkpoint.

    Faults: the link is lost or the board was reset (`LinkError`, and `BoardError`: a board that forgot its settings or is in
    the middle of another host's batch refuses), or a twin found a difference (`ComparisonError`). Each one that is got over
    is yielded; the one after `times` of them is raised. Loading the checkpoint writes every weight anew. A run that has none
    yet, as its samples were still on their way to the board's memory, begins again; not if no board was ever there.

    A damaged sample in the board's memory (`ImageError`) isn't one of them: `work` stores it again, up to `DAMAGED` times.
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
