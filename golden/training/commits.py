"""Execution of a plan on a board, batch by batch."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nudge.golden.contract.spec import Spec
from nudge.golden.model.settings import Settings

from .batch import Batch
from .board import Board, train_batches
from .data import Data
from .plan import Plan


@dataclass(frozen=True)
class Commit:
    """A committed batch."""

    epoch: int
    #: Numbers of its samples.
    numbers: np.ndarray
    #: Wrong predictions among its samples.
    errors: int
    #: Register values that it was trained with.
    settings: Settings


def always() -> bool:
    """Default of `going`: never stop."""
    return True


def commits(
    plan: Plan,
    spec: Spec,
    board: Board,
    data: Data,
    epoch: int = 0,
    position: int = 0,
    going: Callable[[], bool] = always,
) -> Iterator[Commit]:
    """Execute `plan`, batch by batch, from sample `position` of `epoch` on; yield each commit.

    The board holds the weights to begin with. going: called before each batch but the first; once it returns
    False, the batches already drawn are the last. The board is idle at an epoch's last commit and at the end.
    """
    first = True
    for number, settings in enumerate(plan.settings(spec)):
        if number < epoch:
            continue
        if not first and not going():
            return
        board.write_settings(settings)
        told: deque[Batch] = deque()

        def drawn(number: int = number, told: deque[Batch] = told) -> Iterator[Batch]:
            nonlocal first
            for numbers in plan.batches(number, position if number == epoch else 0):
                if not first and not going():
                    return
                first = False
                told.append(plan.batch_of(data, number, numbers))
                yield told[-1]

        for predictions in train_batches(board, drawn()):
            batch = told.popleft()
            yield Commit(number, batch.numbers, int((predictions != batch.labels).sum()), settings)
