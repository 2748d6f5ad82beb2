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

#: Most classes whose confusion matrix is printed: with more, its columns don't fit into 80 characters.
PRINTED = 20

#: Most wrong classes that are printed for a label otherwise.
MOST_WRONG = 3


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
        """Return the confusion matrix as text: a row per label (number and name), a column per prediction.

        With more than `PRINTED` classes a row has the label, the number of its images that are read rightly,
        and the `MOST_WRONG` most frequent other predictions.
        """
        confusion, names = self.confusion, called(self.names, self.classes)
        if self.classes > PRINTED:
            heads = list(names)
            rows = [self._row(n, counts, names) for n, counts in enumerate(confusion)]
        else:
            heads = [
                "label\\prediction",
                *(str(n) if name == str(n) else f"{name} {n}" for n, name in enumerate(names)),
            ]
            width = max(len(str(confusion.max())), 2) + 1
            rows = ["".join(f"{n:{width}}" for n in row) for row in (range(self.classes), *confusion)]
        wide = max(map(cell_len, heads))
        return "\n".join(
            " " * (wide - cell_len(head)) + head + row for head, row in zip(heads, rows, strict=True)
        )

    @staticmethod
    def _row(label: int, counts: np.ndarray, names: Names) -> str:
        """Return the row of one of many labels. counts: of its predictions."""
        order = [n for n in np.argsort(-counts, kind="stable") if n != label and counts[n]]
        wrong = [f"{counts[n]} as {names[n]}" for n in order[:MOST_WRONG]]
        if left := order[MOST_WRONG:]:
            wrong.append(f"{counts[left].sum()} as {len(left)} others")
        return ", ".join([f": {counts[label]} of {counts.sum()} read rightly", *wrong])


def chunks(board: Board, images: Tensor, labels: Tensor) -> Iterator[np.ndarray]:
    """Yield predictions of images, `CHUNK` at a time, with the board's weights and settings."""
    data = Data(images[:0], labels[:0], images, labels)
    numbers = np.arange(len(images))
    return infer_batches(
        board, (Batch(data, numbers[at : at + CHUNK], test=True) for at in range(0, len(images), CHUNK))
    )


def evaluate(board: Board, images: Tensor, labels: Tensor, names: Names = ()) -> Evaluation:
    """Infer images on the board with its weights and settings. names: names of the classes."""
    known = labels.numpy()
    found = np.zeros(0, np.int64)
    with Meter("evaluating", len(images)) as meter:
        for predictions in chunks(board, images, labels):
            found = np.concatenate([found, predictions])
            meter.advance(len(predictions), f"error {100 * (found != known[: len(found)]).mean():.2f} %")
    return Evaluation(known, found, board.spec.classes, names)
