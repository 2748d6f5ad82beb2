"""Test error and confusion matrix of a board's weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from torch import Tensor

from nudge.plumbing.progress import Meter

from .batch import Batch
from .board import Board, infer_batches
from .data import Data
from .sets.class_names import Names, called

#: Images between two steps of the progress bar; no result depends on it.
CHUNK = 128


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Labels and predictions of all images."""

    #: Labels (n,), in order.
    labels: np.ndarray
    #: Predictions (n,).
    predictions: np.ndarray
    #: Number of the network's classes.
    classes: int
    #: Names of its classes, from class 0 on, as far as they are known.
    names: Names = ()

    @property
    def confusion(self) -> np.ndarray:
        """confusion[label][prediction]: number of images."""
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
        """Return the confusion matrix as text: a row per label (number and name), a column per prediction."""
        confusion = self.confusion
        width = max(len(str(confusion.max())), 2) + 1
        named = enumerate(called(self.names, self.classes))
        labels = [str(n) if name == str(n) else f"{name} {n}" for n, name in named]
        heads = ["label\\prediction", *labels]
        wide = max(map(cell_len, heads))
        rows = [range(self.classes), *confusion]
        cells = ("".join(f"{n:{width}}" for n in row) for row in rows)
        return "\n".join(" " * (wide - cell_len(head)) + head + row for head, row in zip(heads, cells, strict=True))


def chunks(board: Board, images: Tensor, labels: Tensor) -> Iterator[np.ndarray]:
    """Yield predictions of images, `CHUNK` at a time, with the board's weights and settings."""
    data = Data(images[:0], labels[:0], images, labels)
    numbers = np.arange(len(images))
    return infer_batches(board, (Batch(data, numbers[at : at + CHUNK], test=True) for at in range(0, len(images), CHUNK)))


def evaluate(board: Board, images: Tensor, labels: Tensor, names: Names = ()) -> Evaluation:
    """Infer images on the board with its weights and settings. names: names of the classes."""
    known = labels.numpy()
    found = np.zeros(0, np.int64)
    with Meter("evaluating", len(images)) as meter:
        for predictions in chunks(board, images, labels):
            found = np.concatenate([found, predictions])
            meter.advance(len(predictions), f"error {100 * (found != known[: len(found)]).mean():.2f} %")
    return Evaluation(known, found, board.spec.classes, names)
