"""Test error and confusion matrix of the weights that a board holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from golden.progress import Meter

from .batch import Batch
from .board import Board, infer_batches
from .data import Data

#: Images between two steps of the progress bar; it changes no result.
CHUNK = 128


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Labels and predictions of all images."""

    #: (n,), in order.
    labels: np.ndarray
    #: (n,).
    predictions: np.ndarray
    #: Of the network.
    classes: int

    @property
    def confusion(self) -> np.ndarray:
        """confusion[label][prediction]: how many images."""
        counts = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(counts, (self.labels, self.predictions), 1)
        return counts

    @property
    def samples(self) -> int:
        return len(self.labels)

    @property
    def errors(self) -> int:
        return int((self.labels != self.predictions).sum())

    @property
    def error_percent(self) -> float:
        return 100 * self.errors / self.samples

    def __repr__(self) -> str:
        return f"<Evaluation: error {self.error_percent:.2f} % ({self.errors} of {self.samples})>"

    def table(self) -> str:
        """The confusion matrix as text: a row for each label, a column for each prediction."""
        confusion = self.confusion
        width = max(len(str(confusion.max())), 2) + 1
        head = "label\\prediction" + "".join(f"{c:{width}}" for c in range(self.classes))
        rows = (f"{label:16}" + "".join(f"{n:{width}}" for n in row) for label, row in enumerate(confusion))
        return "\n".join([head, *rows])


def chunks(board: Board, images: Tensor, labels: Tensor) -> Iterator[np.ndarray]:
    """Predictions of images (n, 28, 28) with the weights and settings that the board has, some at a time."""
    data = Data(images[:0], labels[:0], images, labels)
    numbers = np.arange(len(images))
    return infer_batches(board, (Batch(data, numbers[at : at + CHUNK], test=True) for at in range(0, len(images), CHUNK)))


def evaluate(board: Board, images: Tensor, labels: Tensor) -> Evaluation:
    """Infer images on the board with the weights and settings it has."""
    known = labels.numpy()
    found = np.zeros(0, np.int64)
    with Meter("evaluating", len(images)) as meter:
        for predictions in chunks(board, images, labels):
            found = np.concatenate([found, predictions])
            meter.advance(len(predictions), f"error {100 * (found != known[: len(found)]).mean():.2f} %")
    return Evaluation(known, found, board.spec.classes)
