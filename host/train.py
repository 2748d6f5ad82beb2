"""Training on a board that may be lost: the loop is `golden.run.train`."""

from golden import run as golden_run
from golden.data import Data
from golden.run import Run, Stop

from .board import Board
from .errors import BoardError, LinkError


def train(run: Run, board: Board, data: Data, stop: Stop) -> float:
    """`golden.run.train`; the error of a board that fails says what was saved."""
    try:
        return golden_run.train(run, board, data, stop)
    except (LinkError, BoardError) as error:
        raise type(error)(f"{error}; {run.weights} holds the state after {run.saved} samples: --resume continues it") from None
