"""Test error and confusion matrix of the weights that a board holds."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from golden.contract.spec import CLASSES
from golden.progress import Meter

from .board import Board

#: Images between two steps of the progress bar; it changes no result.
CHUNK = 128


@dataclass(frozen=True)
class Evaluation:
    """Labels and predictions of all images."""

    #: (n,), in order.
    labels: np.ndarray
    #: (n,).
    predictions: np.ndarray

    @property
    def confusion(self) -> np.ndarray:
        """confusion[label][prediction]: how many images."""
        counts = np.zeros((CLASSES, CLASSES), np.int64)
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

    def table(self) -> str:
        """The confusion matrix as text: a row for each label, a column for each prediction."""
        confusion = self.confusion
        width = max(len(str(confusion.max())), 2) + 1
        head = "label\\prediction" + "".join(f"{c:{width}}" for c in range(CLASSES))
        rows = (f"{label:16}" + "".join(f"{n:{width}}" for n in row) for label, row in enumerate(confusion))
        return "\n".join([head, *rows])


def evaluate(board: Board, images: Tensor, labels: Tensor) -> Evaluation:
    """Infer images (n, 28, 28) on the board with the weights and settings it has."""
    known = labels.numpy()
    found = np.zeros(0, np.int64)
    with Meter("evaluating", len(images)) as meter:
        for at in range(0, len(images), CHUNK):
            part = known[at : at + CHUNK]
            predictions = torch.as_tensor(board.infer(images[at : at + CHUNK].numpy(), part)).cpu().numpy()
            found = np.concatenate([found, predictions])
            meter.advance(len(part), f"error {100 * (found != known[: len(found)]).mean():.2f} %")
    return Evaluation(known, found)
